import SystemPackage

/// Why a process could not be started. There is no child then.
package struct SpawnFailure: Error, Sendable, Equatable {
  /// What could not be done.
  package enum Step: Sendable, Equatable {
    /// Making a process at all.
    case process
    /// Giving the child this one of the parent's descriptors.
    case descriptor(child: Int32, parent: Int32)
    /// Separating the child's descriptors from the parent's.
    case descriptors
    case session
    case group
    case directory(String)
    /// Executing this file.
    case program(String)
  }

  package let step: Step
  package let code: Errno

  package init(step: Step, code: Errno) {
    self.step = step
    self.code = code
  }
}

extension SpawnFailure: CustomStringConvertible {
  /// What was asked for, and the system's words: `/bin/cp: Permission denied`.
  package var description: String {
    let what =
      switch step {
      case .process: "cannot make a process"
      case .descriptor(let child, let parent): "file \(parent) as the child's \(child)"
      case .descriptors: "the child's descriptors"
      case .session: "new session"
      case .group: "process group"
      case .directory(let path): "directory \(path)"
      case .program(let path): path
      }
    return "\(what): \(code)"
  }
}
