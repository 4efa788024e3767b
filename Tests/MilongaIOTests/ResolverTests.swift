import Glibc
import MilongaIO
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ResolverTests {
  @Test(arguments: [("127.0.0.1", AF_INET), ("::1", AF_INET6)])
  func `digits are addresses`(_ host: String, _ family: Int32) throws {
    let addresses = try Resolver.resolve(ResolverQuery(host: host, service: "8080")).get()
    #expect(addresses.count == 1)
    #expect(addresses.first?.family == family)
    #expect(addresses.first?.numericHost == host)
    #expect(addresses.first?.port == 8080)
  }

  @Test func `localhost is a loopback address of the family that was asked for`() throws {
    let v4 = ResolverQuery(host: "localhost", service: nil, family: AF_INET)
    let addresses = try Resolver.resolve(v4).get()
    #expect(addresses.map(\.numericHost).contains("127.0.0.1"))
    #expect(addresses.allSatisfy { $0.family == AF_INET && $0.port == 0 })
    let v6 = ResolverQuery(host: "localhost", service: nil, family: AF_INET6)
    // Where /etc/hosts has it for IPv4 only, there is none.
    if case .success(let addresses) = Resolver.resolve(v6) {
      #expect(addresses.allSatisfy { $0.family == AF_INET6 })
      #expect(addresses.map(\.numericHost).contains("::1"))
    }
  }

  @Test(arguments: [(true, "0.0.0.0"), (false, "127.0.0.1")])
  func `without a host it is the wildcard for binding, loopback for connecting`(
    _ passive: Bool, _ host: String
  ) throws {
    let query = ResolverQuery(host: nil, service: "1", family: AF_INET, passive: passive)
    #expect(try Resolver.resolve(query).get().map(\.description) == ["\(host):1"])
  }

  @Test(arguments: [true, false])
  func `a service has a port`(_ stream: Bool) throws {
    let query = ResolverQuery(host: "127.0.0.1", service: "65535", stream: stream)
    #expect(try Resolver.resolve(query).get().map(\.port) == [65_535])
  }

  @Test func `an unknown name is an error that says so`() {
    let query = ResolverQuery(host: "no-such-name.invalid", service: "80")
    guard case .failure(let error) = Resolver.resolve(query) else {
      Issue.record("it resolved")
      return
    }
    // Without a name server it is EAI_AGAIN.
    #expect([EAI_NONAME, EAI_AGAIN].contains(error.code))
    #expect(error.description == String(cString: gai_strerror(error.code)))
  }

  @Test(arguments: [
    ResolverQuery(host: "127.0.0.1\0.example.org", service: "1"),
    ResolverQuery(host: "127.0.0.1", service: "1\0"), ResolverQuery(host: nil, service: nil),
    ResolverQuery(host: "127.0.0.1", service: nil, family: AF_INET6),
    ResolverQuery(host: "127.0.0.1", service: "no-such-service"),
    ResolverQuery(host: "", service: "1"),
    ResolverQuery(host: "::g", service: "1", family: AF_INET6),
  ])
  func `what cannot be looked up is an error`(_ query: ResolverQuery) {
    guard case .failure(let error) = Resolver.resolve(query) else {
      Issue.record("\(query) resolved")
      return
    }
    #expect(!error.description.isEmpty)
  }

  // MARK: On other threads

  @Test func `many look-ups complete, each with its own answer, on few threads`() {
    let count = 2000
    let answers = Mutex<[Int: UInt16]>([:])
    let busy = Atomic(0)
    let mostBusy = Atomic(0)
    let done = Signal()
    for number in 0..<count {
      let query = ResolverQuery(host: "127.0.0.1", service: "\(number)")
      Resolver.resolve(query) { answer in
        let now = busy.add(1, ordering: .relaxed).newValue
        mostBusy.max(now, ordering: .relaxed)
        answers.withLock { $0[number] = try? answer.get().first?.port }
        busy.subtract(1, ordering: .relaxed)
        done.raise()
      }
    }
    for _ in 0..<count { done.wait() }
    answers.withLock { answers in
      #expect(answers.count == count)
      #expect(answers.allSatisfy { $0.key == Int($0.value) })
    }
    #expect((1...4).contains(mostBusy.load(ordering: .relaxed)))
  }

  @Test func `an error comes back from another thread, too`() {
    let result = Mutex<(code: Int32, isCaller: Bool)?>(nil)
    let caller = pthread_self()
    let done = Signal()
    Resolver.resolve(ResolverQuery(host: nil, service: nil)) { answer in
      if case .failure(let error) = answer {
        let isCaller = pthread_equal(pthread_self(), caller) != 0
        result.withLock { $0 = (error.code, isCaller) }
      }
      done.raise()
    }
    done.wait()
    result.withLock {
      #expect($0?.code == EAI_NONAME)
      #expect($0?.isCaller == false)
    }
  }

  @Test func `a slow look-up holds up no other`() {
    let query = ResolverQuery(host: "127.0.0.1", service: "1")
    let finished = Mutex<[String]>([])
    let mayFinish = Signal()
    let done = Signal()
    Resolver.resolve(query) { _ in
      mayFinish.wait()
      finished.withLock { $0.append("slow") }
      done.raise()
    }
    for _ in 0..<20 {
      Resolver.resolve(query) { _ in
        finished.withLock { $0.append("quick") }
        done.raise()
      }
    }
    for _ in 0..<20 { done.wait() }
    mayFinish.raise()
    done.wait()
    #expect(finished.withLock { $0 } == [String](repeating: "quick", count: 20) + ["slow"])
  }

  @Test func `the threads end when there is nothing to do`() async {
    await #expect(processExitsWith: .success) {
      for _ in 0..<3 {
        let done = Signal()
        for _ in 0..<50 {
          Resolver.resolve(ResolverQuery(host: "127.0.0.1", service: "1")) { _ in done.raise() }
        }
        // One thread at least is there as long as this waits.
        let mayEnd = Signal()
        Resolver.resolve(ResolverQuery(host: "127.0.0.1", service: "1")) { _ in mayEnd.wait() }
        for _ in 0..<50 { done.wait() }
        #expect(resolverThreads() > 0)
        mayEnd.raise()
      }
      let deadline = MonotonicTime.deadline(after: 60, from: MonotonicTime.now())
      while resolverThreads() > 0, MonotonicTime.now() < deadline { sched_yield() }
      #expect(resolverThreads() == 0)
    }
  }

  @Test func `a process without threads left gets its answers all the same`() async {
    await #expect(processExitsWith: .success) {
      // Memory for what a look-up needs, but not for a thread's stack.
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
      limit.rlim_cur = rlim_t(sizeOfAddressSpace() + (4 << 20))
      setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
      let ports = Mutex<[UInt16]>([])
      for number in 1...3 {
        Resolver.resolve(ResolverQuery(host: "127.0.0.1", service: "\(number)")) { answer in
          let port = try? answer.get().first?.port
          ports.withLock { $0.append(port ?? 0) }
        }
        // No need to wait: it is there.
        #expect(ports.withLock { $0.count } == number)
      }
      #expect(ports.withLock { $0 } == [1, 2, 3])
    }
  }
}

/// The threads of this process that look names up; -1 when the system does not tell.
private func resolverThreads() -> Int {
  guard let threads = entries(of: "task") else { return -1 }
  return threads.filter { text(of: "task/\($0)/comm") == "resolver\n" }.count
}

/// Bytes of memory that this process has mapped.
private func sizeOfAddressSpace() -> Int {
  let pages = text(of: "statm").prefix { $0 != " " }
  return Int(pages)! * Int(getpagesize())
}
