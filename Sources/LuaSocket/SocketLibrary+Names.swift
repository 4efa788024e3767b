import Glibc
import MilongaIO
import MilongaLua

/// Looks names up while the program waits, which Ctrl-C ends at once.
///
/// - Throws: `interrupted!`.
package func resolve(
  _ query: ResolverQuery, _ call: LuaCall
) throws(LuaFailure) -> Result<[SocketAddress], ResolverError> {
  // Digits need no look-up, and so no thread.
  var digits = query
  digits.numeric = true
  let known = Resolver.resolve(digits)
  if query.numeric { return known }
  if case .success = known { return known }
  return try lookUp(call) { Resolver.resolve(query) }
}

/// Does the look-up on another thread, because no signal ends it.
func lookUp<Answer: Sendable>(
  _ call: LuaCall, _ work: @escaping @Sendable () -> Answer
) throws(LuaFailure) -> Answer {
  let answer = InterruptibleWork.run(
    named: "look-up", isInterrupted: { call.takeInterruption() }, work)
  guard let answer else { throw call.failure("interrupted!") }
  return answer
}
