import Foundation
import Glibc
import MilongaTestSupport
import Testing

/// Names whose server never answers.
@Suite("A look-up without an end")
struct LookupTests {
  /// A folder with a library that makes every look-up of a name wait for ever.
  private func place() throws -> Workplace {
    let place = try Workplace()
    try place.write(
      """
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <netdb.h>
      #include <unistd.h>
      typedef int (*look_up)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
      int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                      struct addrinfo **result) {
        if (hints && hints->ai_flags & AI_NUMERICHOST)
          return ((look_up)dlsym(RTLD_NEXT, "getaddrinfo"))(host, service, hints, result);
        for (;;) pause();
      }
      struct hostent *gethostbyname(const char *host) { (void)host; for (;;) pause(); }
      """, to: "never.c")
    let outcome = try place.run(
      .shell, ["-c", "gcc -shared -fPIC -o never.so never.c -ldl"])
    try #require(outcome.status == 0, "\(outcome)")
    return place
  }

  @Test(
    "holds nobody up who does not want it any more",
    arguments: [
      "copas.addthread(function() copas.pause() copas.removethread(looking) end)",
      "copas.addthread(function() copas.pause() copas.exit() copas.removethread(looking) end)",
      """
      copas.removethread(looking)
      copas.addthread(function()
        local late = copas.wrap(socket.tcp())
        late:settimeout(0.01)
        assert(select(2, late:connect('nosuch.example', 1)) == 'timeout')
      end)
      """,
    ])
  func abandoned(_ more: String) throws {
    let place = try place()
    let code = """
      local copas, socket = require 'copas', require 'socket'
      for _ = 1, 6 do
        local looking = copas.addthread(function()
          copas.wrap(socket.tcp()):connect('nosuch.example', 80)
        end)
        \(more)
      end
      copas.loop()
      print 'ended'
      """
    let outcome = try place.run(
      .milonga, ["-e", code], environment: ["LD_PRELOAD": place.path + "/never.so"])
    #expect(outcome.output == "ended\n")
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test(
    "ends with Ctrl-C outside of the dispatcher",
    arguments: [
      "socket.connect, 'nosuch.example', 80", "socket.dns.toip, 'nosuch.example'",
      "socket.dns.getaddrinfo, 'nosuch.example'", "socket.bind, 'nosuch.example', 0",
      "socket.tcp().connect, socket.tcp(), 'nosuch.example', 80",
    ])
  func interrupted(_ call: String) throws {
    let place = try place()
    let code = """
      io.stdout:setvbuf('no')
      local socket = require 'socket'
      print 'ready'
      print(pcall(\(call)))
      """
    let process = try place.start(
      .milonga, ["-e", code], environment: ["LD_PRELOAD": place.path + "/never.so"])
    while try !place.read("stdout").hasPrefix("ready\n") { usleep(1000) }
    usleep(20_000)
    kill(process, SIGINT)
    #expect(try waitForEnd(of: process) == 0)
    #expect(try place.read("stdout") == "ready\nfalse\tinterrupted!\n")
  }
}
