import CMilongaShims
import Glibc
import SystemPackage

extension Process {
  /// Starts a program with the descriptors that the request names and no others, whatever else the
  /// parent has open, and without the parent's signal mask and ignored signals. The descriptors
  /// block.
  ///
  /// When it returns the program runs; when it throws there is no child, and nothing has changed.
  /// The time that it takes does not depend on how much memory, or how many descriptors, the parent
  /// has; see ``prepareToSpawn()``.
  package static func spawn(_ request: SpawnRequest) throws(SpawnFailure) -> Process {
    for (child, parent) in request.descriptors.entries where fcntl(parent, F_GETFD) < 0 {
      // Looked at here: the number may be that of the pidfd afterwards.
      throw SpawnFailure(
        step: .descriptor(child: child, parent: parent), code: Errno(rawValue: errno))
    }
    return try SpawnRelay.with(request.descriptors) { relay in
      let moves = relay.descriptors.moves
      let result = start(request, relay, moves)
      guard result.error != 0 else {
        return Result<Process, SpawnFailure>.success(
          Process(id: result.process, descriptor: result.descriptor))
      }
      return .failure(
        SpawnFailure(
          step: step(result, request, relay, moves), code: Errno(rawValue: result.error)))
    }.get()
  }

  /// Makes what later calls of ``spawn(_:)`` need: their time does not depend on the number of the
  /// parent's descriptors if this was called while it had few.
  package static func prepareToSpawn() { SpawnRelay.prepare() }

  private static func start(
    _ request: SpawnRequest, _ relay: SpawnRelay, _ moves: [DescriptorMap.Move]
  ) -> milonga_spawn_result {
    let moves = moves.map { milonga_move(from: $0.from, to: $0.to) }
    let granted = request.descriptors.entries.map(\.child)
    var wasNonblocking = [UInt8](repeating: 0, count: granted.count)
    var raw = milonga_spawn_request()
    raw.move_count = Int32(moves.count)
    raw.granted_count = Int32(granted.count)
    raw.first_unused = relay.firstUnused
    raw.relay_receiver = relay.receiver
    raw.relayed_count = relay.count
    raw.relayed_place = relay.place
    raw.new_session = request.startsSession ? 1 : 0
    raw.mask = request.mask.map { Int32($0) } ?? -1
    raw.group =
      switch request.group {
      case .inherited: -1
      case .new: 0
      case .led(let leader): leader.id
      }
    return request.path.withPointers { path in
      request.arguments.withPointers { arguments in
        request.environment.withPointers { environment in
          (request.directory ?? []).withPointers { directory in
            moves.withUnsafeBufferPointer { moves in
              granted.withUnsafeBufferPointer { granted in
                wasNonblocking.withUnsafeMutableBufferPointer { wasNonblocking in
                  raw.path = path[0]
                  raw.arguments = arguments
                  raw.environment = environment
                  raw.directory = directory[0]
                  raw.moves = moves.baseAddress
                  raw.granted = granted.baseAddress
                  raw.was_nonblocking = wasNonblocking.baseAddress
                  return milonga_spawn(&raw)
                }
              }
            }
          }
        }
      }
    }
  }

  private static func step(
    _ result: milonga_spawn_result, _ request: SpawnRequest, _ relay: SpawnRelay,
    _ moves: [DescriptorMap.Move]
  ) -> SpawnFailure.Step {
    switch result.step {
    case MILONGA_SPAWN_MOVE:
      let move = moves[Int(result.place)]
      // Into and out of the spare place a descriptor moves in two steps.
      let entries = relay.descriptors.entries
      guard
        let place = entries.firstIndex(where: { $0.child == move.to })
          ?? entries.firstIndex(where: { $0.parent == move.from })
      else { return .descriptors }
      let entry = request.descriptors.entries[place]
      return .descriptor(child: entry.child, parent: entry.parent)
    case MILONGA_SPAWN_DESCRIPTORS: return .descriptors
    case MILONGA_SPAWN_SESSION: return .session
    case MILONGA_SPAWN_GROUP: return .group
    case MILONGA_SPAWN_DIRECTORY: return .directory(request.directory?.firstText ?? "")
    case MILONGA_SPAWN_PROGRAM: return .program(request.path.firstText)
    default: return .process
    }
  }
}
