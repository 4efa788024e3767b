import Glibc
import MilongaIO
import Synchronization
import SystemPackage
import Testing

/// The loopback hosts that this machine has.
let loopbackHosts: [String] = ["127.0.0.1", "::1"].filter { host in
  guard let address = SocketAddress(numeric: host, port: 0),
    let socket = try? Socket.open(family: address.family, stream: true)
  else { return false }
  defer { socket.close() }
  return (try? socket.bind(address)) != nil
}

/// How long a test waits for what has to come, in milliseconds.
let patience: Int32 = 60_000

extension Socket {
  /// Whether its operations return at once.
  func setNonBlocking(_ on: Bool) {
    let flags = fcntl(descriptor, F_GETFL)
    let changed = fcntl(descriptor, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
    #expect(flags != -1 && changed == 0)
  }
}

/// Two connected sockets, closed at the end of ``with(_:_:)``.
final class Peers {
  enum Kind: Sendable {
    case unix
    case tcp(String)
  }

  let near: Socket
  let far: Socket
  private var isFarOpen = true

  private init(near: Socket, far: Socket) {
    self.near = near
    self.far = far
  }

  static func with<Result>(
    _ kind: Kind = .unix, _ body: (Peers) throws -> Result
  ) throws -> Result {
    let peers =
      switch kind {
      case .unix: try unix()
      case .tcp(let host): try tcp(host)
      }
    defer {
      peers.near.close()
      peers.closeFar()
    }
    return try body(peers)
  }

  func closeFar() {
    if isFarOpen { far.close() }
    isFarOpen = false
  }

  /// Ends the connection with a reset instead of in good order.
  func resetFar() throws {
    try far.setLinger(on: true, seconds: 0)
    closeFar()
  }

  private static func unix() throws -> Peers {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    try #require(socketpair(AF_UNIX, type, 0, &pair) == 0)
    return Peers(near: Socket(descriptor: pair[0]), far: Socket(descriptor: pair[1]))
  }

  private static func tcp(_ host: String) throws -> Peers {
    try withListener(host) { listener in
      let near = try Socket.open(family: listener.localAddress().family, stream: true)
      _ = near.connect(try listener.localAddress())
      #expect(listener.becomes(POLLIN))
      let accepted = try listener.accept()
      return Peers(near: near, far: try #require(accepted))
    }
  }
}

/// A listening socket on a port of the system's choice, closed at the end.
func withListener<Result>(
  _ host: String, backlog: Int32 = 16, _ body: (Socket) throws -> Result
) throws -> Result {
  try withBound(host) { socket in
    try socket.listen(backlog: backlog)
    return try body(socket)
  }
}

/// A TCP socket bound to a port of the system's choice: until it listens, connections are refused.
func withBound<Result>(_ host: String, _ body: (Socket) throws -> Result) throws -> Result {
  let address = try #require(SocketAddress(numeric: host, port: 0))
  let socket = try Socket.open(family: address.family, stream: true)
  defer { socket.close() }
  try socket.bind(address)
  return try body(socket)
}

/// What a socket had to give.
struct Received: Equatable {
  var bytes: [UInt8] = []
  /// The peer sends no more.
  var ended = false
  var failure: Errno?
}

extension Socket {
  /// Whether poll(2) finds it ready before the test's patience ends.
  func becomes(_ events: Int32) -> Bool {
    var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return poll(&polled, 1, patience) == 1
  }

  func send(_ bytes: [UInt8]) -> Transfer { bytes.withUnsafeBytes { send($0) } }

  /// Sends until the system takes no more; how much it took.
  func fill() -> Int {
    let bytes = [UInt8](repeating: 7, count: 65_536)
    var total = 0
    while case .moved(let count) = send(bytes) { total += count }
    return total
  }

  /// Reads until it would block, ends or fails.
  @discardableResult
  func drain() -> Received {
    var received = Received()
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      switch buffer.withUnsafeMutableBytes({ receive(into: $0) }) {
      case .moved(0):
        received.ended = true
        return received
      case .moved(let count): received.bytes += buffer[..<count]
      case .wouldBlock: return received
      case .failed(let code):
        received.failure = code
        return received
      }
    }
  }

  /// Reads, waiting, until there are so many bytes, or the end or an error comes.
  func receive(atLeast count: Int) -> Received {
    var all = Received()
    while all.bytes.count < count, !all.ended, all.failure == nil, becomes(POLLIN) {
      let more = drain()
      all = Received(bytes: all.bytes + more.bytes, ended: more.ended, failure: more.failure)
    }
    return all
  }
}

/// A semaphore for threads.
final class Signal: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func raise() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 {} }
}

/// Runs `body` on another thread while `meanwhile` runs here; waits for both.
func withThread(_ body: @escaping @Sendable () -> Void, _ meanwhile: () -> Void) {
  final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  var thread = pthread_t()
  let context = Unmanaged.passRetained(Body(body))
  let status = pthread_create(
    &thread, nil,
    { context in
      Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
      return nil
    }, context.toOpaque())
  precondition(status == 0, "no thread: \(status)")
  defer { pthread_join(thread, nil) }
  meanwhile()
}

/// Seconds that `body` took.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = MonotonicTime.now()
  try body()
  return Double(MonotonicTime.now() - start) / 1e9
}

/// How many entries a folder of /proc/self has; -1 when it cannot be read.
func countOfEntries(_ folder: String) -> Int { entries(of: folder)?.count ?? -1 }

/// The entries of a folder of /proc/self; nil when it cannot be read.
func entries(of folder: String) -> [String]? {
  guard let directory = opendir("/proc/self/\(folder)") else { return nil }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    names.append(
      withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      })
  }
  return names
}

/// The text of a small file of /proc/self; empty when it cannot be read.
func text(of file: String) -> String {
  let descriptor = open("/proc/self/\(file)", O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return "" }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 256)
  let count = max(0, read(descriptor, &bytes, bytes.count))
  return String(decoding: bytes[..<count], as: UTF8.self)
}

/// Runs `body` while signals interrupt the system calls of this thread, again and again.
func withInterruptions(_ body: () -> Void) {
  var action = sigaction()
  action.__sigaction_handler.sa_handler = { _ in }
  sigaction(SIGUSR2, &action, nil)
  // Threads of the concurrency pool block all signals.
  var signals = sigset_t()
  var before = sigset_t()
  sigemptyset(&signals)
  sigaddset(&signals, SIGUSR2)
  pthread_sigmask(SIG_UNBLOCK, &signals, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

  let interrupted = pthread_self()
  let ended = Atomic(false)
  withThread {
    while !ended.load(ordering: .relaxed) {
      pthread_kill(interrupted, SIGUSR2)
      sched_yield()
    }
  } _: {
    body()
    ended.store(true, ordering: .relaxed)
  }
}
