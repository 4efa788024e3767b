import DequeModule
import Glibc
import Synchronization

/// Why a name did not resolve: a code of getaddrinfo(3).
public struct ResolverError: Error, Sendable, Equatable, CustomStringConvertible {
  package let code: Int32

  package init(code: Int32) { self.code = code }

  /// The text of gai_strerror(3).
  public var description: String { String(cString: gai_strerror(code)) }
}

/// What to look up.
package struct ResolverQuery: Sendable {
  /// A name or digits; nil for the wildcard or loopback address.
  package var host: String?
  /// A port number or the name of a service; nil for port 0.
  package var service: String?
  /// `AF_UNSPEC`, `AF_INET`, `AF_INET6`.
  package var family: Int32
  package var stream: Bool
  /// The addresses are for binding: without a host, the wildcard address.
  package var passive: Bool
  /// Host and service are digits; nothing is looked up.
  package var numeric: Bool

  package init(
    host: String?, service: String?, family: Int32 = AF_UNSPEC, stream: Bool = true,
    passive: Bool = false, numeric: Bool = false
  ) {
    self.host = host
    self.service = service
    self.family = family
    self.stream = stream
    self.passive = passive
    self.numeric = numeric
  }
}

/// Turns names into addresses with getaddrinfo(3).
package enum Resolver {
  /// The addresses of a name, in the order in which they should be tried. Blocks the calling thread
  /// as long as the name server takes.
  package static func resolve(
    _ query: ResolverQuery
  ) -> Result<[SocketAddress], ResolverError> {
    // C would look up what is before a NUL.
    for text in [query.host, query.service] where text?.utf8.contains(0) == true {
      return .failure(ResolverError(code: EAI_NONAME))
    }
    var hints = addrinfo()
    hints.ai_family = query.family
    hints.ai_socktype = Int32((query.stream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
    if query.passive { hints.ai_flags |= AI_PASSIVE }
    if query.numeric { hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV }
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(query.host, query.service, &hints, &list)
    guard status == 0 else { return .failure(ResolverError(code: status)) }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = list
    while let info = next?.pointee {
      addresses.append(SocketAddress(info.ai_addr, length: info.ai_addrlen))
      next = info.ai_next
    }
    return .success(addresses)
  }

  /// A look-up that another thread makes.
  package final class Lookup: Sendable {
    fileprivate let isAbandoned = Atomic<Bool>(false)

    /// The answer is not wanted any more. When no thread has begun, none does, and `completion` is
    /// not called.
    package func abandon() { isAbandoned.store(true, ordering: .relaxed) }
  }

  /// Looks the name up on another thread. `completion` runs on that thread.
  ///
  /// The number of threads is limited: with a name server that does not answer, further look-ups
  /// wait for a free one. Threads end when there is nothing to do.
  @discardableResult
  package static func resolve(
    _ query: ResolverQuery,
    completion: @escaping @Sendable (Result<[SocketAddress], ResolverError>) -> Void
  ) -> Lookup {
    let lookup = Lookup()
    let startThread = pool.withLock { pool in
      pool.waiting.append(Job(query: query, lookup: lookup, completion: completion))
      guard pool.threads < mostThreads else { return false }
      pool.threads += 1
      return true
    }
    if startThread, !startDetachedThread(named: "resolver", { runJobs() }) {
      // Without a thread (the process is at its limit) the caller waits, but gets its answer.
      runJobs()
    }
    return lookup
  }

  private struct Job: Sendable {
    let query: ResolverQuery
    let lookup: Lookup
    let completion: @Sendable (Result<[SocketAddress], ResolverError>) -> Void
  }

  private struct Pool {
    var waiting = Deque<Job>()
    var threads = 0
  }

  private static let mostThreads = 4
  private static let pool = Mutex(Pool())

  private static func runJobs() {
    while true {
      let job: Job? = pool.withLock { pool in
        let next = pool.waiting.popFirst()
        if next == nil { pool.threads -= 1 }
        return next
      }
      guard let job else { return }
      if job.lookup.isAbandoned.load(ordering: .relaxed) { continue }
      job.completion(resolve(job.query))
    }
  }
}
