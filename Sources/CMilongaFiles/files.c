// The files of the folder `Sources/LuaFiles/lua`, as the compiler found them. Lua parses one when
// it is required.
#include "CMilongaFiles.h"

// Every compiler that builds Swift 6 knows `#embed`, in whatever language mode.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char socket[] = {
#embed "../LuaFiles/lua/socket.lua"
};
static const char ltn12[] = {
#embed "../LuaFiles/lua/ltn12.lua"
};
static const char mime[] = {
#embed "../LuaFiles/lua/mime.lua"
};
static const char certificates[] = {
#embed "../LuaFiles/lua/socket/certificates.lua"
};
static const char choose[] = {
#embed "../LuaFiles/lua/socket/choose.lua"
};
static const char ftp[] = {
#embed "../LuaFiles/lua/socket/ftp.lua"
};
static const char headers[] = {
#embed "../LuaFiles/lua/socket/headers.lua"
};
static const char http[] = {
#embed "../LuaFiles/lua/socket/http.lua"
};
static const char httpclient[] = {
#embed "../LuaFiles/lua/socket/httpclient.lua"
};
static const char httpbody[] = {
#embed "../LuaFiles/lua/socket/httpbody.lua"
};
static const char httpconnection[] = {
#embed "../LuaFiles/lua/socket/httpconnection.lua"
};
static const char httpfront[] = {
#embed "../LuaFiles/lua/socket/httpfront.lua"
};
static const char httpplan[] = {
#embed "../LuaFiles/lua/socket/httpplan.lua"
};
static const char httppool[] = {
#embed "../LuaFiles/lua/socket/httppool.lua"
};
static const char httpproxy[] = {
#embed "../LuaFiles/lua/socket/httpproxy.lua"
};
static const char httpredirect[] = {
#embed "../LuaFiles/lua/socket/httpredirect.lua"
};
static const char httpupload[] = {
#embed "../LuaFiles/lua/socket/httpupload.lua"
};
static const char smtp[] = {
#embed "../LuaFiles/lua/socket/smtp.lua"
};
static const char streams[] = {
#embed "../LuaFiles/lua/socket/streams.lua"
};
static const char tp[] = {
#embed "../LuaFiles/lua/socket/tp.lua"
};
static const char url[] = {
#embed "../LuaFiles/lua/socket/url.lua"
};
static const char wire[] = {
#embed "../LuaFiles/lua/socket/wire.lua"
};

static const char copas_debug[] = {
#embed "../LuaFiles/lua/copas/debug.lua"
};
static const char copas_ftp[] = {
#embed "../LuaFiles/lua/copas/ftp.lua"
};
static const char copas_http[] = {
#embed "../LuaFiles/lua/copas/http.lua"
};
static const char copas_layer[] = {
#embed "../LuaFiles/lua/copas/layer.lua"
};
static const char copas_smtp[] = {
#embed "../LuaFiles/lua/copas/smtp.lua"
};
static const char copas_tls[] = {
#embed "../LuaFiles/lua/copas/tls.lua"
};

static const char milonga_call[] = {
#embed "../LuaFiles/lua/milonga/call.lua"
};
static const char milonga_loader[] = {
#embed "../LuaFiles/lua/milonga/loader.lua"
};
static const char milonga_serve[] = {
#embed "../LuaFiles/lua/milonga/serve.lua"
};

static const milonga_luafile files[] = {
    {"socket", "=milonga/socket.lua", socket, sizeof socket, 0},
    {"ltn12", "=milonga/ltn12.lua", ltn12, sizeof ltn12, 0},
    {"mime", "=milonga/mime.lua", mime, sizeof mime, 0},
    {"socket.certificates", "=milonga/socket/certificates.lua", certificates, sizeof certificates,
     0},
    {"socket.choose", "=milonga/socket/choose.lua", choose, sizeof choose, 0},
    {"socket.ftp", "=milonga/socket/ftp.lua", ftp, sizeof ftp, 0},
    {"socket.headers", "=milonga/socket/headers.lua", headers, sizeof headers, 0},
    {"socket.http", "=milonga/socket/http.lua", http, sizeof http, 0},
    {"socket.httpclient", "=milonga/socket/httpclient.lua", httpclient, sizeof httpclient, 0},
    {"socket.httpbody", "=milonga/socket/httpbody.lua", httpbody, sizeof httpbody, 0},
    {"socket.httpconnection", "=milonga/socket/httpconnection.lua", httpconnection,
     sizeof httpconnection, 0},
    {"socket.httpfront", "=milonga/socket/httpfront.lua", httpfront, sizeof httpfront, 0},
    {"socket.httpplan", "=milonga/socket/httpplan.lua", httpplan, sizeof httpplan, 0},
    {"socket.httppool", "=milonga/socket/httppool.lua", httppool, sizeof httppool, 0},
    {"socket.httpproxy", "=milonga/socket/httpproxy.lua", httpproxy, sizeof httpproxy, 0},
    {"socket.httpredirect", "=milonga/socket/httpredirect.lua", httpredirect, sizeof httpredirect,
     0},
    {"socket.httpupload", "=milonga/socket/httpupload.lua", httpupload, sizeof httpupload, 0},
    {"socket.smtp", "=milonga/socket/smtp.lua", smtp, sizeof smtp, 0},
    {"socket.streams", "=milonga/socket/streams.lua", streams, sizeof streams, 0},
    {"socket.tp", "=milonga/socket/tp.lua", tp, sizeof tp, 0},
    {"socket.url", "=milonga/socket/url.lua", url, sizeof url, 0},
    {"socket.wire", "=milonga/socket/wire.lua", wire, sizeof wire, 0},
    {"copas.debug", "=milonga/copas/debug.lua", copas_debug, sizeof copas_debug, 1},
    {"copas.ftp", "=milonga/copas/ftp.lua", copas_ftp, sizeof copas_ftp, 0},
    {"copas.http", "=milonga/copas/http.lua", copas_http, sizeof copas_http, 0},
    {"copas.layer", "=milonga/copas/layer.lua", copas_layer, sizeof copas_layer, 0},
    {"copas.smtp", "=milonga/copas/smtp.lua", copas_smtp, sizeof copas_smtp, 0},
    {"copas.tls", "=milonga/copas/tls.lua", copas_tls, sizeof copas_tls, 1},
    {"milonga.call", "=milonga/call.lua", milonga_call, sizeof milonga_call, 1},
    {"milonga.loader", "=milonga/loader.lua", milonga_loader, sizeof milonga_loader, 1},
    {"milonga.serve", "=milonga/serve.lua", milonga_serve, sizeof milonga_serve, 1},
    {NULL, NULL, NULL, 0, 0},
};

const milonga_luafile *milonga_luafiles(void) { return files; }
