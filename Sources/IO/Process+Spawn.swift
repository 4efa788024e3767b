import CShims
import Glibc
import SystemPackage

extension Process {
  /// Starts a program with the descriptors that the request names and no others, whatever else the parent
  /// has open, and without the parent's signal mask and ignored signals. The descriptors block.
  ///
  /// When it returns the program runs; when it throws there is no child, and nothing has changed. The time
  /// that it takes does not depend on how much memory, or how many descriptors above those it grants, the
  /// parent has.
  public static func spawn(_ request: SpawnRequest) throws(SpawnFailure) -> Process {
    for (child, parent) in request.descriptors.entries where fcntl(parent, F_GETFD) < 0 {
      // Looked at here: the number may be that of the pidfd afterwards.
      throw SpawnFailure(
        step: .descriptor(child: child, parent: parent), code: Errno(rawValue: errno))
    }
    let moves = request.descriptors.moves
    let result = start(request, moves)
    if result.error == 0 { return Process(id: result.process, descriptor: result.descriptor) }
    throw SpawnFailure(
      step: step(result, request, moves), code: Errno(rawValue: result.error))
  }

  private static func start(
    _ request: SpawnRequest, _ moves: [DescriptorMap.Move]
  ) -> milonga_spawn_result {
    let moves = moves.map { milonga_move(from: $0.from, to: $0.to) }
    let granted = request.descriptors.entries.map(\.child)
    var wasNonblocking = [UInt8](repeating: 0, count: granted.count)
    var raw = milonga_spawn_request()
    raw.move_count = Int32(moves.count)
    raw.granted_count = Int32(granted.count)
    raw.first_unused = request.descriptors.firstUnused
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
    _ result: milonga_spawn_result, _ request: SpawnRequest, _ moves: [DescriptorMap.Move]
  ) -> SpawnFailure.Step {
    switch result.step {
    case MILONGA_SPAWN_MOVE:
      let move = moves[Int(result.place)]
      let entries = request.descriptors.entries
      // Into and out of the spare place a descriptor moves in two steps.
      let entry = entries.first { $0.child == move.to } ?? entries.first { $0.parent == move.from }
      return entry.map { .descriptor(child: $0.child, parent: $0.parent) } ?? .descriptors
    case MILONGA_SPAWN_DESCRIPTORS: return .descriptors
    case MILONGA_SPAWN_SESSION: return .session
    case MILONGA_SPAWN_GROUP: return .group
    case MILONGA_SPAWN_DIRECTORY: return .directory(request.directory?.firstText ?? "")
    case MILONGA_SPAWN_PROGRAM: return .program(request.path.firstText)
    default: return .process
    }
  }
}
