"""The programs that cases are made of, and where they are on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import ClassVar

from .programs import Program, unless_executable, unless_loadable

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent
SERVERS = HERE / "servers"
LUASOCKET = HERE / "luasocket"
COPAS = HERE / "copas"
XPIO = HERE / "xpio"
RPC = HERE / "rpc"


class Tools:
    """The programs that cases are made of, and where they are on this machine."""

    OWN_DESCRIPTORS: ClassVar[int] = 100  # what a server and the load have besides connections

    def __init__(self, options: argparse.Namespace, most_descriptors: int):
        self.options = options
        self.most_descriptors = most_descriptors

    def within_limit(self, connections: int) -> tuple[int, str | None]:
        """As many connections as there may be, and a remark when that is fewer."""
        most = self.most_descriptors - self.OWN_DESCRIPTORS
        if connections <= most:
            return connections, None
        return most, (
            f"scaled down: {most:,} connections, as a process may have {self.most_descriptors:,} "
            "descriptors here (ulimit -Hn)"
        )

    def c_echo(self) -> Program:
        return self.built("C echo", "bench-echo")

    def c_peer(self, *arguments: str) -> Program:
        return self.built("C peer", "bench-peer", *arguments)

    def built(self, label: str, name: str, *arguments: str) -> Program:
        path = self.options.build / name
        return Program(label, (str(path), *arguments), missing=unless_executable(path))

    def milonga(self, script: str, *arguments: str, takes_port: bool = False) -> Program:
        return self.milonga_command(str(SERVERS / script), *arguments, takes_port=takes_port)

    def milonga_command(self, *arguments: str, takes_port: bool = False) -> Program:
        path = self.options.milonga
        missing = unless_executable(path)
        return Program("Milonga", (str(path), *arguments), takes_port=takes_port, missing=missing)

    def luasocket(self, script: str, *arguments: str) -> tuple[Program, Program]:
        """The same script on stock Lua and on Milonga."""
        command = (str(LUASOCKET / script), *arguments)
        missing = unless_loadable("lua5.4", ("socket", "mime"), None)
        return (
            Program("luasocket", ("lua5.4", *command), missing=missing),
            self.milonga_command(*command),
        )

    def command(self, name: str, *arguments: str) -> Program:
        missing = None if shutil.which(name) else f"{name} is not installed"
        return Program(name, (name, *arguments), missing=missing)

    def echo_peers(self, message: str) -> list[Program]:
        peers = [
            self.stock_lua("luasocket", "lua5.4", ("socket",), SERVERS / "socket-echo.lua", message),
            self.copas("lua5.4", message),
            self.copas("luajit", message),
        ]
        if message != "line":  # libuv knows no lines; its script sends back what comes
            peers.append(self.stock_lua("luv", "lua5.4", ("luv",), SERVERS / "luv-echo.lua"))
        return peers

    def copas(self, interpreter: str, *arguments: str, script: Path | None = None) -> Program:
        """The echo server, or another script."""
        folder = self.options.copas
        if folder is None:
            return Program(f"copas/{interpreter}", (), missing="no --copas PATH given")
        if (folder / "src" / "copas.lua").exists():
            folder = folder / "src"
        return self.stock_lua(
            f"copas/{interpreter}", interpreter, ("copas",), script or SERVERS / "copas-echo.lua",
            *arguments, lua_folder=folder,
        )

    def copas_script(self, script: str, *arguments: str) -> tuple[Program, Program]:
        """The same script on Copas under stock Lua and on Milonga."""
        path = COPAS / script
        return (
            self.copas("lua5.4", *arguments, script=path),
            self.milonga_command(str(path), *arguments),
        )

    def tango_peers(self) -> list[Program]:
        return [self.original_tango("lua5.1"), self.original_tango("luajit")]

    def net_box(self, script: str, *arguments: str) -> Program:
        missing = None if shutil.which("tarantool") else "tarantool is not installed"
        return Program("net.box", ("tarantool", str(HERE / "netbox" / script), *arguments), missing=missing)

    def original_tango(self, interpreter: str) -> Program:
        folder = self.options.tango_original
        if folder is None:
            return Program(f"tango/{interpreter}", (), missing="no --tango-original PATH given")
        return self.stock_lua(
            f"tango/{interpreter}", interpreter, ("tango", "tango.server.copas_socket"),
            SERVERS / "tango-echo.lua", lua_folder=folder, takes_port=True,
        )

    def stock_lua(
        self,
        label: str,
        interpreter: str,
        modules: tuple[str, ...],
        script: Path,
        *arguments: str,
        lua_folder: Path | None = None,
        takes_port: bool = False,
    ) -> Program:
        environment = {}
        if lua_folder is not None:
            rest = os.environ.get("LUA_PATH", ";;")
            environment["LUA_PATH"] = f"{lua_folder}/?.lua;{lua_folder}/?/init.lua;{rest}"
        return Program(
            label,
            (interpreter, str(script), *arguments),
            environment,
            takes_port,
            missing=unless_loadable(interpreter, modules, environment.get("LUA_PATH")),
        )
