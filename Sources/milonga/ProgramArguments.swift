/// A string given by the system: bytes up to a NUL, not necessarily UTF-8.
typealias CString = UnsafePointer<CChar>

/// The arguments of the process as the system gave them, which `CommandLine.arguments` would
/// repair where they are not UTF-8. They live as long as the process.
struct ProgramArguments {
  /// How many there are, the program's name included.
  let count: Int
  private let strings: UnsafeMutablePointer<CString>

  /// The arguments of this process.
  init() {
    count = Int(CommandLine.argc)
    strings = UnsafeMutableRawPointer(CommandLine.unsafeArgv).assumingMemoryBound(to: CString.self)
  }

  subscript(index: Int) -> CString { strings[index] }

  /// Whether the program was started under this name, in whatever folder.
  func isNamed(_ name: String) -> Bool {
    programName == name || programName.hasSuffix("/" + name)
  }

  /// What the program was called as.
  var programName: String {
    count > 0 && strings[0][0] != 0 ? String(cString: strings[0]) : "milonga"
  }
}
