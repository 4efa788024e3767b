import Glibc
import MilongaIO
import MilongaTestSupport
import SystemPackage
import Testing

/// What every back end has to do.
@Suite(.timeLimit(.minutes(1)))
struct ReadinessQueueTests {
  static let kinds = ReadinessQueue.Kind.allCases

  // MARK: Edges

  @Test(arguments: kinds)
  func `what is ready at registration is told by the first wait`(_ kind: ReadinessQueue.Kind) throws
  {
    let queue = try ReadinessQueue(kind)
    try Peers.with { peers in
      try queue.add(peers.near.descriptor, tag: 5)
      #expect(queue.events() == [5: .writable])
      queue.remove(peers.near.descriptor)
      #expect(peers.far.send([1]) == .moved(1))
      try queue.add(peers.near.descriptor, tag: 6)
      #expect(queue.events() == [6: [.readable, .writable]])
    }
  }

  @Test(arguments: kinds)
  func `an event is told once`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      #expect(peers.far.send([1]) == .moved(1))
      #expect(queue.next(1).contains(.readable))
      // Nothing was read: it is ready still, but did not become so.
      #expect(queue.events() == [:])
    }
  }

  @Test(arguments: kinds)
  func `after it was drained and armed, new data is told again`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    try withWatched(kind) { queue, peers in
      for round in 0..<100 {
        #expect(peers.far.send([UInt8(round)]) == .moved(1))
        #expect(queue.next(1).contains(.readable))
        #expect(peers.near.drain() == Received(bytes: [UInt8(round)]))
        queue.arm(peers.near.descriptor, for: .readable)
        #expect(queue.events() == [:])
      }
    }
  }

  @Test(arguments: kinds)
  func `data that comes between the last read and arming is not lost`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    try withWatched(kind) { queue, peers in
      _ = peers.far.send([1])
      _ = queue.next(1)
      #expect(peers.near.drain() == Received(bytes: [1]))
      _ = peers.far.send([2])
      queue.arm(peers.near.descriptor, for: .readable)
      #expect(queue.next(1).contains(.readable))
      #expect(peers.near.drain() == Received(bytes: [2]))
    }
  }

  @Test(arguments: kinds)
  func `room to write is told when there is some again`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      for _ in 0..<3 {
        let sent = peers.near.fill()
        #expect(sent > 0)
        queue.arm(peers.near.descriptor, for: .writable)
        #expect(queue.events() == [:])
        #expect(peers.far.drain().bytes.count == sent)
        #expect(queue.next(1) == .writable)
      }
    }
  }

  @Test(arguments: kinds)
  func `both directions are told together`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      _ = peers.near.fill()
      queue.arm(peers.near.descriptor, for: [.readable, .writable])
      #expect(queue.events() == [:])
      peers.far.drain()
      _ = peers.far.send([1])
      #expect(queue.events() == [1: [.readable, .writable]])
    }
  }

  @Test(arguments: kinds)
  func `a listening socket is readable when a connection waits`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    for host in loopbackHosts {
      let queue = try ReadinessQueue(kind)
      try withListener(host) { listener in
        try queue.add(listener.descriptor, tag: 9)
        #expect(queue.events() == [:])
        let address = try listener.localAddress()
        for _ in 0..<3 {
          let client = try Socket.open(family: address.family, stream: true)
          defer { client.close() }
          _ = client.connect(address)
          #expect(queue.next(9) == .readable)
          let accepted = try listener.accept()
          try #require(accepted).close()
          #expect(try listener.accept() == nil)
          queue.arm(listener.descriptor, for: .readable)
        }
      }
    }
  }

  // MARK: Connecting

  @Test(arguments: kinds)
  func `a connect that succeeds makes the socket writable`(_ kind: ReadinessQueue.Kind) throws {
    for host in loopbackHosts {
      let queue = try ReadinessQueue(kind)
      try withListener(host) { listener in
        let address = try listener.localAddress()
        let client = try Socket.open(family: address.family, stream: true)
        defer { client.close() }
        #expect(client.connect(address) == .wouldBlock)
        try queue.add(client.descriptor, tag: 1)
        #expect(queue.next(1) == .writable)
        #expect(client.pendingError() == nil)
      }
    }
  }

  @Test(arguments: kinds)
  func `a connect that fails makes the socket writable, and it says why`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    for host in loopbackHosts {
      let queue = try ReadinessQueue(kind)
      try withBound(host) { bound in
        let address = try bound.localAddress()
        let client = try Socket.open(family: address.family, stream: true)
        defer { client.close() }
        #expect(client.connect(address) == .wouldBlock)
        try queue.add(client.descriptor, tag: 1)
        #expect(queue.next(1) == [.readable, .writable, .hangup])
        #expect(client.pendingError() == .connectionRefused)
      }
    }
  }

  // MARK: Hanging up

  @Test(arguments: kinds)
  func `a peer that closed is told as readable hangup`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      peers.closeFar()
      #expect(queue.next(1).isSuperset(of: [.readable, .hangup]))
      #expect(peers.near.drain() == Received(ended: true))
    }
  }

  @Test(arguments: kinds)
  func `what a peer sent before it closed can be read`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      _ = peers.far.send([1, 2, 3])
      peers.closeFar()
      #expect(queue.next(1).isSuperset(of: [.readable, .hangup]))
      #expect(peers.near.drain() == Received(bytes: [1, 2, 3], ended: true))
    }
  }

  @Test(arguments: kinds)
  func `a hangup keeps no wait from waiting`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      _ = peers.far.send([1])
      peers.closeFar()
      #expect(queue.next(1).contains(.hangup))
      #expect(queue.secondsOfEmptyWait(within: 20) >= 0.02)
    }
  }

  @Test(arguments: kinds)
  func `a peer that ended its direction is told as readable`(_ kind: ReadinessQueue.Kind) throws {
    for host in loopbackHosts {
      try withWatched(kind, .tcp(host)) { queue, peers in
        try peers.far.shutdown(.send)
        #expect(queue.next(1).contains(.readable))
        #expect(peers.near.drain() == Received(ended: true))
        // The other direction lives.
        #expect(peers.near.send([1]) == .moved(1))
        #expect(peers.far.receive(atLeast: 1) == Received(bytes: [1]))
      }
    }
  }

  @Test(arguments: kinds)
  func `that a peer ended its direction is told as a hangup, once, while nothing is asked for`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    for host in loopbackHosts {
      try withWatched(kind, .tcp(host)) { queue, peers in
        _ = peers.far.send([1])
        #expect(queue.next(1).contains(.readable))
        // What came is not read, and nothing is armed.
        try peers.far.shutdown(.send)
        #expect(queue.next(1).contains(.hangup))
        #expect(queue.secondsOfEmptyWait(within: 20) >= 0.02)
      }
    }
  }

  @Test(arguments: kinds)
  func `the end that comes with data is told after the data was read`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    for host in loopbackHosts {
      try withWatched(kind, .tcp(host)) { queue, peers in
        _ = peers.far.send([1, 2])
        #expect(queue.next(1).contains(.readable))
        #expect(peers.near.drain() == Received(bytes: [1, 2]))
        queue.arm(peers.near.descriptor, for: .readable)
        try peers.far.shutdown(.send)
        #expect(queue.next(1).contains(.readable))
        #expect(peers.near.drain() == Received(ended: true))
      }
    }
  }

  @Test(arguments: kinds)
  func `a reset is told in both directions`(_ kind: ReadinessQueue.Kind) throws {
    for host in loopbackHosts {
      try withWatched(kind, .tcp(host)) { queue, peers in
        _ = peers.near.fill()
        queue.arm(peers.near.descriptor, for: .writable)
        try peers.resetFar()
        #expect(queue.next(1, .hangup) == [.readable, .writable, .hangup])
        #expect(peers.near.drain() == Received(failure: .connectionReset))
      }
    }
  }

  @Test(arguments: kinds)
  func `the writer of a full pipe is told that nobody reads any more`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    let (reader, writer) = (ends[0], ends[1])
    defer { close(writer) }
    for end in ends { #expect(fcntl(end, F_SETFD, FD_CLOEXEC) == 0) }
    Socket(descriptor: writer).setNonBlocking(true)
    let bytes = [UInt8](repeating: 1, count: 4096)
    while write(writer, bytes, bytes.count) > 0 {}
    let queue = try ReadinessQueue(kind)
    try queue.add(writer, tag: 1)
    #expect(queue.events() == [:])
    close(reader)
    #expect(queue.next(1) == [.readable, .writable, .hangup])
  }

  // MARK: Registration

  @Test(arguments: kinds)
  func `a descriptor is watched once`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      #expect(throws: Errno.fileExists) { try queue.add(peers.near.descriptor, tag: 2) }
      _ = peers.far.send([1])
      #expect(Array(queue.events().keys) == [1])
    }
  }

  @Test(arguments: kinds)
  func `what is not open cannot be watched`(_ kind: ReadinessQueue.Kind) throws {
    let queue = try ReadinessQueue(kind)
    #expect(throws: Errno.badFileDescriptor) { try queue.add(-1, tag: 1) }
    #expect(throws: Errno.badFileDescriptor) { try queue.add(Int32.max, tag: 1) }
    #expect(queue.events() == [:])
  }

  @Test(arguments: kinds)
  func `unknown descriptors can be removed and armed`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      queue.remove(peers.far.descriptor)
      queue.remove(-1)
      queue.arm(peers.far.descriptor, for: [.readable, .writable])
      queue.arm(-1, for: .readable)
      _ = peers.far.send([1])
      #expect(Array(queue.events().keys) == [1])
    }
  }

  @Test(arguments: kinds)
  func `nothing is told of what was removed`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      queue.remove(peers.near.descriptor)
      _ = peers.far.send([1])
      peers.closeFar()
      #expect(queue.events() == [:])
      queue.remove(peers.near.descriptor)
    }
  }

  @Test(arguments: kinds)
  func `what was removed can be watched anew, with only its new tag`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    try withWatched(kind) { queue, peers in
      _ = peers.far.send([1])
      queue.remove(peers.near.descriptor)
      try queue.add(peers.near.descriptor, tag: 2)
      #expect(queue.events() == [2: [.readable, .writable]])
    }
  }

  @Test(arguments: kinds)
  func `a new socket with an old number has only its new tag`(_ kind: ReadinessQueue.Kind) throws {
    let queue = try ReadinessQueue(kind)
    var tag: UInt64 = 0
    for _ in 0..<100 {
      try Peers.with { peers in
        tag += 1
        _ = peers.far.send([1])
        try queue.add(peers.near.descriptor, tag: tag)
        // Every other one is closed with its event not yet told.
        if tag % 2 == 0 { #expect(Array(queue.events().keys) == [tag]) }
        queue.remove(peers.near.descriptor)
      }
    }
    #expect(queue.events() == [:])
  }

  @Test func `epoll refuses regular files, which poll tells as ready`() throws {
    let descriptor = open("/etc/passwd", O_RDONLY | O_CLOEXEC)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let epoll = try ReadinessQueue(.epoll)
    #expect(throws: Errno.notPermitted) { try epoll.add(descriptor, tag: 1) }
    let poll = try ReadinessQueue(.poll)
    try poll.add(descriptor, tag: 1)
    #expect(poll.events() == [1: [.readable, .writable]])
  }

  // MARK: Many

  @Test(.serialized, arguments: kinds)
  func `of thousands of descriptors, those that became ready are told, each once`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    let queue = try ReadinessQueue(kind)
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let count = min(3000, (Int(limit.rlim_cur) - 400) / 2)
    var pairs: [(near: Socket, far: Socket)] = []
    defer {
      for pair in pairs {
        pair.near.close()
        pair.far.close()
      }
    }
    for index in 0..<count {
      var pair: [Int32] = [-1, -1]
      let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      try #require(socketpair(AF_UNIX, type, 0, &pair) == 0)
      pairs.append((Socket(descriptor: pair[0]), Socket(descriptor: pair[1])))
      try queue.add(pair[0], tag: UInt64(index))
    }
    #expect(queue.allTags() == Array(0..<UInt64(count)))

    let chosen = (0..<count).filter { $0 % 3 == 1 }
    for index in 0..<count { queue.arm(pairs[index].near.descriptor, for: .readable) }
    for index in chosen { _ = pairs[index].far.send([1]) }
    #expect(queue.allTags() == chosen.map(UInt64.init))

    for index in chosen { queue.remove(pairs[index].near.descriptor) }
    for index in 0..<count { _ = pairs[index].far.send([2]) }
    #expect(queue.allTags() == (0..<count).filter { $0 % 3 != 1 }.map(UInt64.init))
  }

  @Test(arguments: kinds)
  func `events carry the tags of their descriptors, whatever is added and removed`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    var generator = SeededGenerator(for: "readiness \(kind)")
    let queue = try ReadinessQueue(kind)
    var tags = [UInt64?](repeating: nil, count: 40)
    var unread = [Bool](repeating: false, count: tags.count)
    // Not told since they were added, or since data came.
    var expected: Set<UInt64> = []
    var lastTag: UInt64 = 0
    try withPeers(tags.count) { peers in
      for _ in 0..<20_000 {
        let index = generator.below(tags.count)
        let near = peers[index].near
        switch generator.below(8) {
        case 0..<2 where tags[index] == nil:
          lastTag += 1
          tags[index] = lastTag
          expected.insert(lastTag)
          try queue.add(near.descriptor, tag: lastTag)
        case 2 where tags[index] != nil:
          queue.remove(near.descriptor)
          expected.remove(tags[index]!)
          tags[index] = nil
        case 3..<7:
          _ = peers[index].far.send([1])
          unread[index] = true
          if let tag = tags[index] { expected.insert(tag) }
        default:
          let events = queue.events()
          #expect(Set(events.keys) == expected)
          expected = []
          for (tag, readiness) in events {
            guard let index = tags.firstIndex(of: tag) else { continue }
            #expect(readiness.contains(.readable) == unread[index])
            peers[index].near.drain()
            unread[index] = false
            queue.arm(peers[index].near.descriptor, for: .readable)
          }
        }
      }
    }
  }

  // MARK: Waking

  @Test(arguments: kinds)
  func `waking before the wait ends it at once, without an event`(
    _ kind: ReadinessQueue.Kind
  ) throws {
    let queue = try ReadinessQueue(kind)
    for _ in 0..<3 {
      queue.waker.wake()
      queue.waker.wake()
      #expect(queue.secondsOfEmptyWait(within: patience) < Double(patience) / 1000)
    }
    // Used up: this one waits.
    #expect(queue.secondsOfEmptyWait(within: 10) >= 0.01)
  }

  @Test(arguments: kinds)
  func `another thread wakes it, again and again`(_ kind: ReadinessQueue.Kind) throws {
    let queue = try ReadinessQueue(kind)
    let waker = queue.waker
    let turn = Signal()
    let rounds = 1000
    withThread {
      for _ in 0..<rounds {
        turn.wait()
        waker.wake()
      }
    } _: {
      for _ in 0..<rounds {
        turn.raise()
        #expect(queue.secondsOfEmptyWait(within: patience) < Double(patience) / 1000)
      }
    }
  }

  @Test(arguments: kinds)
  func `a wait for ever ends when another thread sends`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      let far = peers.far
      let turn = Signal()
      withThread {
        turn.wait()
        _ = far.send([1])
      } _: {
        turn.raise()
        #expect(queue.events(within: -1)[1]?.contains(.readable) == true)
      }
    }
  }

  @Test(arguments: kinds)
  func `being woken does not hide what became ready`(_ kind: ReadinessQueue.Kind) throws {
    try withWatched(kind) { queue, peers in
      queue.waker.wake()
      _ = peers.far.send([1])
      #expect(Array(queue.events().keys) == [1])
    }
  }

  // MARK: Time

  @Test(arguments: kinds)
  func `no wait ends early`(_ kind: ReadinessQueue.Kind) throws {
    for milliseconds in [0, 1, 2, 7, 30] as [Int32] {
      let queue = try ReadinessQueue(kind)
      for _ in 0..<3 {
        let elapsed = queue.secondsOfEmptyWait(within: milliseconds)
        #expect(elapsed >= Double(milliseconds) / 1000)
      }
    }
  }

  @Test(arguments: kinds)
  func `a signal ends the wait without events`(_ kind: ReadinessQueue.Kind) throws {
    let queue = try ReadinessQueue(kind)
    withInterruptions {
      #expect(queue.secondsOfEmptyWait(within: patience) < Double(patience) / 1000)
    }
  }

  // MARK: Resources

  @Test(arguments: kinds)
  func `a process without descriptors gets an error and nothing worse`(
    _ kind: ReadinessQueue.Kind
  ) async {
    await #expect(processExitsWith: .success) { [kind = kind.rawValue as String] in
      let kind = ReadinessQueue.Kind(rawValue: kind)!
      let before = countOfEntries("fd")
      let next = dup(0)
      close(next)
      // Room for none, for one, ...
      var outcomes: [Errno?] = []
      for more in 0..<4 {
        var limit = rlimit(rlim_cur: rlim_t(Int(next) + more), rlim_max: 1024)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        do throws(Errno) {
          _ = try ReadinessQueue(kind)
          outcomes.append(nil)
        } catch {
          outcomes.append(error)
        }
      }
      #expect(outcomes.first == .tooManyOpenFiles)
      #expect(outcomes.allSatisfy { $0 == nil || $0 == .tooManyOpenFiles })

      var limit = rlimit(rlim_cur: 1024, rlim_max: 1024)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      for _ in 0..<100 { _ = try ReadinessQueue(kind) }
      // The runtime's own threads may have opened some.
      #expect(countOfEntries("fd") < before + 50)
    }
  }

  // MARK: Helpers

  /// A queue that watches the near one of two peers as 1, with the first event told.
  private func withWatched(
    _ kind: ReadinessQueue.Kind, _ peers: Peers.Kind = .unix,
    _ body: (ReadinessQueue, Peers) throws -> Void
  ) throws {
    let queue = try ReadinessQueue(kind)
    try Peers.with(peers) { peers in
      try queue.add(peers.near.descriptor, tag: 1)
      #expect(queue.next(1) == .writable)
      queue.arm(peers.near.descriptor, for: .readable)
      try body(queue, peers)
    }
  }

  private func withPeers(_ count: Int, _ body: ([Peers]) throws -> Void) throws {
    func open(_ peers: [Peers]) throws {
      if peers.count == count { return try body(peers) }
      try Peers.with { try open(peers + [$0]) }
    }
    try open([])
  }
}

extension ReadinessQueue {
  /// The events of one wait by their tags, each of which comes once.
  fileprivate func events(within milliseconds: Int32 = 0) -> [UInt64: Readiness] {
    var events: [UInt64: Readiness] = [:]
    do {
      try wait(milliseconds: milliseconds) { event in
        #expect(events.updateValue(event.readiness, forKey: event.tag) == nil)
      }
    } catch {
      Issue.record(error)
    }
    return events
  }

  /// How long a wait took that told no event.
  fileprivate func secondsOfEmptyWait(within milliseconds: Int32) -> Double {
    let start = MonotonicTime.now()
    let events = events(within: milliseconds)
    let end = MonotonicTime.now()
    #expect(events == [:])
    return Double(end - start) / 1e9
  }

  /// What this one became ready for, in one or (when more is `needed`) several events.
  fileprivate func next(_ tag: UInt64, _ needed: Readiness = []) -> Readiness {
    var readiness: Readiness = []
    repeat {
      let events = events(within: patience)
      guard let more = events[tag], events.count == 1 else {
        Issue.record("\(tag) did not become ready: \(events)")
        break
      }
      readiness.formUnion(more)
    } while !readiness.isSuperset(of: needed)
    return readiness
  }

  /// The tags of all events that are there, sorted.
  fileprivate func allTags() -> [UInt64] {
    var tags: [UInt64] = []
    while true {
      let events = events()
      if events.isEmpty { return tags.sorted() }
      tags += events.keys
    }
  }
}
