// The files of the folder `lua`, as the compiler found them. Lua parses one when it is required.
#include "LuaSocketFiles.h"

// Every compiler that builds Swift 6 knows `#embed`, in whatever language mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char socket[] = {
#embed "lua/socket.lua"
};
static const char ltn12[] = {
#embed "lua/ltn12.lua"
};
static const char mime[] = {
#embed "lua/mime.lua"
};
static const char choose[] = {
#embed "lua/socket/choose.lua"
};
static const char ftp[] = {
#embed "lua/socket/ftp.lua"
};
static const char headers[] = {
#embed "lua/socket/headers.lua"
};
static const char http[] = {
#embed "lua/socket/http.lua"
};
static const char smtp[] = {
#embed "lua/socket/smtp.lua"
};
static const char streams[] = {
#embed "lua/socket/streams.lua"
};
static const char tp[] = {
#embed "lua/socket/tp.lua"
};
static const char url[] = {
#embed "lua/socket/url.lua"
};
static const char wire[] = {
#embed "lua/socket/wire.lua"
};

static const milonga_luafile files[] = {
    {"socket", "=milonga/socket.lua", socket, sizeof socket},
    {"ltn12", "=milonga/ltn12.lua", ltn12, sizeof ltn12},
    {"mime", "=milonga/mime.lua", mime, sizeof mime},
    {"socket.choose", "=milonga/socket/choose.lua", choose, sizeof choose},
    {"socket.ftp", "=milonga/socket/ftp.lua", ftp, sizeof ftp},
    {"socket.headers", "=milonga/socket/headers.lua", headers, sizeof headers},
    {"socket.http", "=milonga/socket/http.lua", http, sizeof http},
    {"socket.smtp", "=milonga/socket/smtp.lua", smtp, sizeof smtp},
    {"socket.streams", "=milonga/socket/streams.lua", streams, sizeof streams},
    {"socket.tp", "=milonga/socket/tp.lua", tp, sizeof tp},
    {"socket.url", "=milonga/socket/url.lua", url, sizeof url},
    {"socket.wire", "=milonga/socket/wire.lua", wire, sizeof wire},
    {NULL, NULL, NULL, 0},
};

const milonga_luafile *milonga_luafiles(void) { return files; }
