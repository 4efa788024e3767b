import CMilongaShims
import Glibc
import SystemPackage

/// A child process.
///
/// Its end is seen through a pidfd, which becomes readable: that needs no signal handler, and other
/// children are left alone. The owner asks for its end (``poll()``) or gives it away
/// (``abandon()``); otherwise it remains a zombie.
package struct Process: Sendable {
  /// The number of the process. After its end the system may give it to another one.
  package let id: Int32
  /// The pidfd, -1 when the end is known.
  package private(set) var descriptor: Int32
  /// How it ended, nil while that is not known.
  package private(set) var end: End?

  /// How a process ended.
  package enum End: Sendable, Equatable {
    case exited(Int32)
    /// By this signal.
    case killed(Int32)
  }

  init(id: Int32, descriptor: Int32) {
    self.id = id
    self.descriptor = descriptor
  }

  /// How the process ended; nil while it runs. From then on ``descriptor`` is closed: `willClose`
  /// is told before.
  ///
  /// - Throws: `Errno.noChildProcess` when another part of the program has waited for it: its
  ///   status is lost then.
  package mutating func poll(
    willClose: (Int32) -> Void = { _ in }
  ) throws(Errno) -> End? {
    if let end { return end }
    guard descriptor >= 0 else { throw .noChildProcess }
    switch Self.wait(descriptor, block: false) {
    case .success(nil): return nil
    case .success(let end):
      self.end = end
      close(willClose)
      return end
    case .failure(let error):
      close(willClose)
      throw error
    }
  }

  /// Sends a signal.
  ///
  /// - Throws: `Errno.noSuchProcess` when it has ended.
  package func signal(_ number: Int32) throws(Errno) {
    guard descriptor >= 0 else { throw .noSuchProcess }
    guard milonga_signal_process(descriptor, number) == 0 else { throw Errno(rawValue: errno) }
  }

  /// Kills the process, unless it has ended, and leaves nothing of it behind.
  package mutating func abandon(willClose: (Int32) -> Void = { _ in }) {
    guard descriptor >= 0 else { return }
    if (try? poll(willClose: willClose)) != nil || descriptor < 0 { return }
    try? signal(SIGKILL)
    willClose(descriptor)
    Reaper.adopt(descriptor)
    descriptor = -1
  }

  private mutating func close(_ willClose: (Int32) -> Void) {
    willClose(descriptor)
    _ = Glibc.close(descriptor)
    descriptor = -1
  }

  static func wait(_ descriptor: Int32, block: Bool) -> Result<End?, Errno> {
    var code: Int32 = 0
    var status: Int32 = 0
    switch milonga_wait_process(descriptor, block ? 1 : 0, &code, &status) {
    case 0: return .success(nil)
    case 1: return .success(code == CLD_EXITED ? .exited(status) : .killed(status))
    default: return .failure(Errno(rawValue: errno))
    }
  }
}
