import CMilongaShims
import Glibc

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `body` on a thread of its own, which gets no signals: they are for the program's.
///
/// - Parameter name: what tools that list threads show, at most 15 bytes.
/// - Returns: false when the process may have no more threads; `body` does not run then.
func startDetachedThread(named name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
  let context = Unmanaged.passRetained(
    ThreadBody {
      milonga_name_thread(name)
      body()
    })
  var thread = pthread_t()
  var all = sigset_t()
  var before = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_SETMASK, &all, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
  let status = pthread_create(
    &thread, nil,
    { context in
      Unmanaged<ThreadBody>.fromOpaque(context!).takeRetainedValue().run()
      return nil
    }, context.toOpaque())
  if status != 0 {
    context.release()
    return false
  }
  pthread_detach(thread)
  return true
}
