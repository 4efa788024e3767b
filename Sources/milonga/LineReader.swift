@preconcurrency import Glibc

/// Reads lines from stdin: with editing and history where GNU readline or libedit is installed,
/// plainly elsewhere. The library is looked for at run time, so the binary does not need it.
struct LineReader {
  private typealias ReadLine = @convention(c) (CString?) -> UnsafeMutablePointer<CChar>?
  private typealias AddHistory = @convention(c) (CString) -> Int32

  private var editedLine: ReadLine?
  private var addHistory: AddHistory?

  init() {
    for name in ["libreadline.so.8", "libedit.so.2"] {
      guard let library = dlopen(name, RTLD_NOW), let read = dlsym(library, "readline"),
        let add = dlsym(library, "add_history")
      else { continue }
      editedLine = unsafeBitCast(read, to: ReadLine.self)
      addHistory = unsafeBitCast(add, to: AddHistory.self)
      // The name under which a user's .inputrc has settings for Lua.
      let settingsName: StaticString = "lua"
      dlsym(library, "rl_readline_name")?.storeBytes(
        of: UnsafeRawPointer(settingsName.utf8Start), as: UnsafeRawPointer.self)
      return
    }
  }

  /// The next line without its newline; nil at the end of the input.
  func readLine(prompt: CString) -> [UInt8]? {
    guard let editedLine else { return readPlainLine(prompt: prompt) }
    guard let line = editedLine(prompt) else { return nil }
    defer { free(line) }
    return Array(UnsafeRawBufferPointer(start: line, count: strlen(line)))
  }

  private func readPlainLine(prompt: CString) -> [UInt8]? {
    fputs(prompt, stdout)
    fflush(stdout)
    var line: UnsafeMutablePointer<CChar>?
    defer { free(line) }
    var capacity = 0
    var count = getline(&line, &capacity, stdin)
    guard count >= 0, let line else { return nil }
    if count > 0, line[count - 1] == CChar(ascii: "\n") { count -= 1 }
    return Array(UnsafeRawBufferPointer(start: line, count: count))
  }

  /// Makes lines available to the arrow keys.
  func remember(_ lines: [UInt8]) {
    guard let addHistory else { return }
    (lines + [0]).withUnsafeBytes { bytes in
      _ = addHistory(bytes.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
  }
}
