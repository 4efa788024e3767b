import MilongaIO
import MilongaLua

extension SocketModule {
  /// Pushes what `require 'socket.monotonic'` returns: a function for our own Lua files, which
  /// reckon their deadlines with it. It returns seconds since an arbitrary point, whatever is done
  /// to the time of day.
  package static func openMonotonic(_ call: LuaCall) {
    call.push { (call) throws(LuaFailure) in
      call.push(Double(MonotonicTime.now()) / 1e9)
      return .results(1)
    }
  }
}
