import Glibc
import SystemPackage
import Testing

@testable import MilongaIO

@Suite(.timeLimit(.minutes(1)))
struct ProcessTests {
  private func request(
    _ program: ByteStrings, _ arguments: ByteStrings = ["program"], _ descriptors: [Int32: Int32]
  ) -> SpawnRequest {
    SpawnRequest(
      path: program, arguments: arguments, environment: ["PATH=/usr/bin:/bin"],
      descriptors: DescriptorMap(descriptors))
  }

  private func shell(
    _ command: String, _ descriptors: [Int32: Int32] = [:]
  ) -> SpawnRequest {
    request(["/bin/sh"], ["sh", "-c", command], descriptors)
  }

  /// Waits as a readiness queue would: by the pidfd.
  private func end(of process: inout Process) throws -> Process.End? {
    var polled = pollfd(fd: process.descriptor, events: Int16(POLLIN), revents: 0)
    #expect(poll(&polled, 1, patience) == 1)
    return try process.poll()
  }

  /// What a command writes to its descriptor 1, which is given to it besides the others.
  private func output(
    _ command: String, _ descriptors: [Int32: Int32] = [:],
    _ change: (inout SpawnRequest) -> Void = { _ in }
  ) throws -> String {
    let (read, write) = try DescriptorPair.pipe()
    defer { close(read) }
    var descriptors = descriptors
    descriptors[1] = write
    var request = shell(command, descriptors)
    change(&request)
    var process = try Process.spawn(request)
    close(write)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      var polled = pollfd(fd: read, events: Int16(POLLIN), revents: 0)
      #expect(poll(&polled, 1, patience) == 1)
      let count = Glibc.read(read, &buffer, buffer.count)
      guard count > 0 else { break }
      bytes += buffer[..<count]
    }
    #expect(try end(of: &process) == .exited(0))
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Ends

  @Test func `a process exits with a status`() throws {
    var process = try Process.spawn(shell("exit 3"))
    #expect(process.id > 0)
    #expect(try end(of: &process) == .exited(3))
    #expect(try process.poll() == .exited(3))
    #expect(process.descriptor == -1)
    #expect(throws: Errno.noSuchProcess) { try process.signal(SIGTERM) }
  }

  @Test func `a process is ended by a signal`() throws {
    var process = try Process.spawn(shell("sleep 60"))
    #expect(try process.poll() == nil)
    try process.signal(SIGTERM)
    #expect(try end(of: &process) == .killed(SIGTERM))
  }

  @Test func `its end is told before the pidfd is closed`() throws {
    var process = try Process.spawn(shell("exit 0"))
    let descriptor = process.descriptor
    var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    #expect(poll(&polled, 1, patience) == 1)
    var told: [Int32] = []
    _ = try process.poll { told.append($0) }
    _ = try process.poll { told.append($0) }
    #expect(told == [descriptor])
  }

  @Test func `an abandoned process is killed and reaped`() throws {
    var process = try Process.spawn(shell("exec sleep 60"))
    let id = process.id
    process.abandon()
    #expect(process.descriptor == -1)
    // A zombie could still be signalled.
    for _ in 0..<60_000 where kill(id, 0) == 0 { usleep(1000) }
    #expect(kill(id, 0) == -1 && errno == ESRCH)
  }

  // MARK: Failures

  @Test(arguments: [
    ("/no/such/program", Errno.noSuchFileOrDirectory),
    ("/etc", .permissionDenied),
    ("/etc/passwd", .permissionDenied),
    ("/bin/sh/x", .notDirectory),
  ])
  func `a program that cannot run is named`(_ path: String, _ code: Errno) throws {
    var program = ByteStrings()
    program.append(path.utf8)
    #expect(throws: SpawnFailure(step: .program(path), code: code)) {
      try Process.spawn(request(program, ["x"], [:]))
    }
  }

  @Test func `failures are described`() {
    let failure = SpawnFailure(step: .program("/bin/x"), code: .permissionDenied)
    #expect("\(failure)" == "/bin/x: Permission denied")
    let descriptor = SpawnFailure(
      step: .descriptor(child: 1, parent: 77), code: .badFileDescriptor)
    #expect("\(descriptor)" == "file 77 as the child's 1: Bad file descriptor")
  }

  @Test func `a descriptor that is not open is named`() throws {
    let failure = SpawnFailure(
      step: .descriptor(child: 4, parent: 1_000_000), code: .badFileDescriptor)
    #expect(throws: failure) { try Process.spawn(shell("exit", [4: 1_000_000])) }
  }

  @Test func `what was granted stays non-blocking when nothing runs`() throws {
    try Peers.with { peers in
      let descriptor = peers.near.descriptor
      var failing = shell("exit", [0: descriptor, 1: descriptor])
      failing.path = ["/no/such"]
      #expect(throws: SpawnFailure.self) { try Process.spawn(failing) }
      #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
      var process = try Process.spawn(shell("exit", [0: descriptor]))
      #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK == 0)
      _ = try end(of: &process)
    }
  }

  // MARK: What a child gets

  @Test func `only the descriptors that it is granted`() throws {
    // Without close-on-exec, as another library may have opened it.
    let leaky = dup(2)
    defer { close(leaky) }
    let null = open("/dev/null", O_RDWR)
    defer { close(null) }
    let listed = try output("echo /proc/$$/fd/*", [2: null, 9: null])
    // 0 is the folder that the shell lists.
    #expect(
      listed.filter { $0 != "\n" }.split(separator: " ").map { $0.split(separator: "/").last! }
        == ["0", "1", "2", "9"])
  }

  @Test func `descriptors above many others`() throws {
    let null = open("/dev/null", O_RDWR)
    var many = (0..<2000).map { _ in fcntl(null, F_DUPFD_CLOEXEC, 600) }
    defer { for descriptor in many + [null] { close(descriptor) } }
    try #require(many.allSatisfy { $0 >= 600 }, "the test needs 2,600 descriptors")
    let (read, write) = try DescriptorPair.pipe()
    let high = fcntl(write, F_DUPFD_CLOEXEC, 2500)
    close(write)
    #expect(high >= 2500)
    many += [read, high]
    // Some 300 of them are more than one message to the child can carry.
    var map = Dictionary(uniqueKeysWithValues: (3..<303).map { (Int32($0), many[$0]) })
    map[5] = high
    map[high] = high
    map[400] = 2
    let listed = try output("echo through >&5; echo /proc/$$/fd/*", map)
    // Besides them its output, and the folder that it lists.
    #expect(listed.split(separator: " ").count == map.count + 2)
    var buffer = [UInt8](repeating: 0, count: 100)
    #expect(Glibc.read(read, &buffer, 100) == 8)
  }

  @Test func `its directory, mask and session`() throws {
    #expect(try output("pwd", [:]) { $0.directory = ["/usr"] } == "/usr\n")
    #expect(try output("umask", [:]) { $0.mask = 0o27 } == "0027\n")
    let own =
      "set -- $(cat /proc/$$/stat); test $5 = $$ && echo group; test $6 = $$ && echo session"
    #expect(try output(own + ";true", [:]) { $0.group = .new } == "group\n")
    #expect(try output(own, [:]) { $0.startsSession = true } == "group\nsession\n")
    #expect(
      throws: SpawnFailure(step: .directory("/no/such"), code: .noSuchFileOrDirectory)
    ) {
      var failing = shell("exit")
      failing.directory = ["/no/such"]
      _ = try Process.spawn(failing)
    }
  }

  @Test func `no blocked and no ignored signals`() throws {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    signal(SIGPIPE, SIG_IGN)
    let masks = try output("exec grep -E 'SigBlk|SigIgn' /proc/self/status")
    let zeroes = String(repeating: "0", count: 16)
    #expect(masks == "SigBlk:\t\(zeroes)\nSigIgn:\t\(zeroes)\n")
  }

  // MARK: Search

  @Test func `programs are found in PATH`() {
    guard
      case .found(let path) = ExecutableSearch.find(Array("sh".utf8), in: Array("/none:/bin".utf8))
    else {
      Issue.record("no sh")
      return
    }
    #expect(path.firstText == "/bin/sh")
    guard
      case .refused(let refused) = ExecutableSearch.find(
        Array("passwd".utf8), in: Array("/etc".utf8))
    else {
      Issue.record("/etc/passwd may be executed")
      return
    }
    #expect(refused == "/etc/passwd")
    guard case .notFound = ExecutableSearch.find(Array("apt".utf8), in: Array("/etc".utf8)) else {
      Issue.record("a folder is no program")
      return
    }
  }

  @Test func `strings for C hold no NUL`() {
    var strings = ByteStrings()
    let isTaken = [strings.append("one".utf8), strings.append([65, 0, 66])]
    #expect(isTaken == [true, false])
    #expect(strings.withPointers { $0[0] != nil && $0[1] == nil })
    #expect(strings.firstText == "one")
  }
}
