import Foundation
import MilongaTestSupport
import Testing

/// The time of day goes back by an hour each time that a program asks for it. It changes nothing:
/// all waiting uses the monotonic clock.
@Suite("The time of day goes backwards")
struct ClockTests {
  /// Stands before the C library's functions, and changes nothing but the time of day.
  private static let library = """
    #define _GNU_SOURCE
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>

    static long ago;

    int clock_gettime(clockid_t clock, struct timespec *now) {
      int status = (int)syscall(SYS_clock_gettime, clock, now);
      if (clock == CLOCK_REALTIME) now->tv_sec -= ago += 3600;
      return status;
    }

    int gettimeofday(struct timeval *restrict now, void *restrict zone) {
      struct timespec precise;
      (void)zone;
      clock_gettime(CLOCK_REALTIME, &precise);
      now->tv_sec = precise.tv_sec;
      now->tv_usec = precise.tv_nsec / 1000;
      return 0;
    }

    time_t time(time_t *now) {
      struct timespec precise;
      clock_gettime(CLOCK_REALTIME, &precise);
      if (now) *now = precise.tv_sec;
      return precise.tv_sec;
    }
    """

  @Test("All waiting takes as long as it should", arguments: ["epoll", "poll"])
  func waiting(_ backend: String) throws {
    let place = try Workplace()
    try place.write(Self.library, to: "clock.c")
    let compiled = try place.run(.shell, ["-c", "cc -shared -fPIC -O -o clock.so clock.c"])
    try #require(compiled.status == 0, "\(compiled)")
    try place.write(Self.script, to: "script.lua")
    let outcome = try place.run(
      .milonga, ["script.lua"],
      environment: [
        "LD_PRELOAD": place.path + "/clock.so", "MILONGA_READINESS": backend,
        // AddressSanitizer wants to be the first library.
        "ASAN_OPTIONS": "verify_asan_link_order=0",
      ])
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.output == "backwards\nall in time\n", "\(outcome)")
  }

  private static let script = """
    local socket = require 'socket'
    local copas = require 'copas'
    local monotonic = require 'socket.monotonic'

    local first = copas.gettime()
    if copas.gettime() < first - 1000 and socket.gettime() < first - 1000 then print 'backwards' end

    local waits = 0
    local function takes(seconds, body, ...)
      local start = monotonic()
      local results = table.pack(body(...))
      local taken = monotonic() - start
      assert(taken >= seconds - 0.002 and taken < seconds + 60, taken)
      waits = waits + 1
      return table.unpack(results, 1, results.n)
    end

    local server = assert(socket.bind('127.0.0.1', 0))
    local _, port = server:getsockname()
    local client = copas.wrap(assert(socket.connect('127.0.0.1', port)))
    local lock, semaphore, queue = copas.lock.new(), copas.semaphore.new(1), copas.queue.new()

    copas.loop(function()
      local slept = takes(0.03, copas.pause, 0.03)
      assert(slept >= 0.028 and slept < 60, slept)
      local me = coroutine.running()
      copas.timeout(0.03, copas.wakeup)
      slept = takes(0.03, copas.pauseforever)
      assert(slept >= 0.028 and slept < 60, slept)
      client:settimeout(0.03)
      assert(select(2, takes(0.03, client.receive, client)) == 'timeout')
      lock:get()
      copas.addthread(function()
        local got, problem, waited = takes(0.03, lock.get, lock, 0.03)
        assert(not got and problem == 'timeout' and waited >= 0.028 and waited < 60, waited)
        assert(select(2, takes(0.03, semaphore.take, semaphore, 1, 0.03)) == 'timeout')
        assert(select(2, takes(0.03, queue.pop, queue, 0.03)) == 'timeout')
        copas.wakeup(me)
      end)
      copas.pauseforever()
      copas.timer.new {delay = 0.03, callback = function() copas.wakeup(me) end}
      takes(0.03, copas.pauseforever)
      takes(0.03, socket.sleep, 0.03)
      local plain = assert(socket.connect('127.0.0.1', port))
      plain:settimeout(0.03)
      assert(select(2, takes(0.03, plain.receive, plain)) == 'timeout')
      takes(0.03, socket.select, {plain}, nil, 0.03)
    end)
    if waits == 10 then print 'all in time' end
    """
}
