import Glibc
import SystemPackage

/// Where the file of a program is.
package enum ExecutableSearch {
  package enum Result: Sendable {
    case found(ByteStrings)
    /// There is such a file, but it may not be executed.
    case refused(String)
    case notFound
  }

  /// Looks for `name` in the directories of `path`, which colons separate; an empty one is the
  /// working directory. What is found through a relative one is made absolute, so that it stays the
  /// same file for a child with another working directory.
  package static func find(_ name: [UInt8], in path: [UInt8]) -> Result {
    var refused: String?
    for directory in path.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
      var file = Array(directory)
      if file.isEmpty { file = [UInt8(ascii: ".")] }
      file.append(UInt8(ascii: "/"))
      file += name
      var candidate = ByteStrings()
      guard candidate.append(absolute(file)) else { return .notFound }
      let (isFile, isExecutable) = candidate.withPointers { pointers in
        var information = stat()
        let isFile =
          stat(pointers[0]!, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
        return (isFile, isFile && faccessat(AT_FDCWD, pointers[0]!, X_OK, AT_EACCESS) == 0)
      }
      if isExecutable { return .found(candidate) }
      if isFile, refused == nil { refused = candidate.firstText }
    }
    return refused.map { .refused($0) } ?? .notFound
  }

  private static func absolute(_ file: [UInt8]) -> [UInt8] {
    guard file[0] != UInt8(ascii: "/"), let directory = getcwd(nil, 0) else { return file }
    defer { free(directory) }
    let prefix = UnsafeRawBufferPointer(start: directory, count: strlen(directory))
    return prefix + [UInt8(ascii: "/")] + file
  }
}
