import MilongaTestSupport
import Testing

/// What LuaSocket does not have, or does not do.
@Suite("Beyond LuaSocket")
struct AdditionTests {
  /// Runs a script that says by itself what is wrong.
  private func run(_ script: String, environment: [String: String] = [:]) throws {
    let place = try Workplace()
    let outcome = try place.run(.milonga, ["-e", script], environment: environment)
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func `Unix names outside the file system`() throws {
    try run(
      """
      local socket, unix = require "socket", require "socket.unix"
      local name = ("\\0milonga %p\\0x"):format({})
      local server = unix.stream()
      assert(server:bind(name) and server:listen())
      assert(server:getsockname() == name)
      local client = unix.stream()
      assert(client:connect(name))
      assert(client:send "over it\\n")
      assert(server:accept():receive() == "over it")
      assert(select(2, unix.stream():connect(name .. "y")) == "connection refused")
      local a, b = unix.dgram(), unix.dgram()
      assert(a:bind(name .. "a") and b:bind(name .. "b"))
      assert(a:sendto("datagram", name .. "b") == 8)
      local text, sender = b:receivefrom()
      assert(text == "datagram" and sender == name .. "a")
      """)
  }

  @Test func `a full Unix server is waited for, as long as the timeout says`() throws {
    try run(
      """
      local socket, unix = require "socket", require "socket.unix"
      local name = ("\\0milonga %p"):format({})
      local server = unix.stream()
      assert(server:bind(name) and server:listen(0))
      local waiting, message = {}
      repeat
        local s = unix.stream()
        s:settimeout(0)
        waiting[#waiting + 1] = s
        local ok
        ok, message = s:connect(name)
      until not ok
      assert(message == "timeout", message)
      local late = unix.stream()
      late:settimeout(0.05)
      local start = socket.gettime()
      local ok, message = late:connect(name)
      assert(not ok and message == "timeout", message)
      assert(socket.gettime() - start > 0.04)
      server:accept()
      assert(unix.stream():connect(name))
      """)
  }

  @Test func `with debugging on, send and receive tell how long they took`() throws {
    try run(
      """
      local socket = require "socket"
      assert(socket._DEBUG == true)
      local server = socket.bind("127.0.0.1", 0)
      local host, port = server:getsockname()
      local client = socket.connect(host, port)
      local accepted = server:accept()
      local last, message, partial, took = client:send "hello\\n"
      assert(last == 6 and message == nil and partial == nil and took >= 0 and took < 60)
      local line, message, partial, took = accepted:receive()
      assert(line == "hello" and message == nil and partial == nil and took >= 0 and took < 60)
      accepted:settimeout(0.05)
      local line, message, partial, took = accepted:receive(5)
      assert(line == nil and message == "timeout" and partial == "" and took >= 0.05 and took < 60)
      """, environment: ["MILONGA_SOCKET_DEBUG": "1"])
  }

  @Test(arguments: ["0", "", "yes"])
  func `any other value turns debugging off`(_ value: String) throws {
    try run(
      """
      local socket = require "socket"
      assert(socket._DEBUG == nil)
      local server = socket.bind("127.0.0.1", 0)
      local host, port = server:getsockname()
      local client = socket.connect(host, port)
      assert(select("#", client:send "x") == 3)
      """, environment: ["MILONGA_SOCKET_DEBUG": value])
  }

  @Test func `hops of multicast and of unicast datagrams are different options`() throws {
    try run(
      """
      local s = require "socket".udp6()
      assert(s:getoption "ipv6-multicast-hops" == 1 and s:getoption "ipv6-unicast-hops" == 64)
      assert(s:setoption("ipv6-multicast-hops", 7))
      assert(s:getoption "ipv6-multicast-hops" == 7 and s:getoption "ipv6-unicast-hops" == 64)
      """)
  }

  @Test func `a datagram socket without a descriptor receives nothing`() throws {
    try run(
      """
      local socket = require "socket"
      for _, method in ipairs {"receive", "receivefrom"} do
        local s = socket.udp()
        local datagram, message = s[method](s)
        assert(datagram == nil and message == "closed")
      end
      local s = socket.udp4()
      local ok, message = pcall(s.receive, s, -1)
      assert(not ok and message:find "number of bytes expected, got %-1", message)
      """)
  }
}
