import Glibc
import MilongaIO
import SystemPackage

/// Why a socket operation failed, in LuaSocket's words.
public enum SocketFailure: Error, Sendable, Equatable {
  case closed
  case timeout
  /// There is no memory for what was received. Methods raise it, as Lua does.
  case memory
  case system(Errno)
  case resolver(ResolverError)

  /// The string that Lua programs compare with. Texts not listed here are strerror(3)'s and
  /// gai_strerror(3)'s, as in LuaSocket.
  public var text: String {
    switch self {
    case .closed: "closed"
    case .timeout: "timeout"
    case .memory: "not enough memory"
    case .system(let code): Self.text(of: code.rawValue)
    case .resolver(let error):
      switch error.code {
      case EAI_AGAIN: "temporary failure in name resolution"
      case EAI_BADFLAGS: "invalid value for ai_flags"
      case EAI_FAIL: "non-recoverable failure in name resolution"
      case EAI_FAMILY: "ai_family not supported"
      case EAI_MEMORY: "memory allocation failure"
      case EAI_NONAME: "host or service not provided, or not known"
      case EAI_OVERFLOW: "argument buffer overflow"
      case EAI_SERVICE: "service not supported for socket type"
      case EAI_SOCKTYPE: "ai_socktype not supported"
      default: error.description
      }
    }
  }
  /// The text of an error number.
  static func text(of code: Int32) -> String {
    switch code {
    case EADDRINUSE: "address already in use"
    case EISCONN: "already connected"
    case EACCES: "permission denied"
    case ECONNREFUSED: "connection refused"
    case ECONNABORTED, ECONNRESET, EPIPE: "closed"
    case ETIMEDOUT: "timeout"
    default: String(cString: strerror(code))
    }
  }
}
