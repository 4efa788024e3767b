import Glibc

/// Writes one line to standard error.
func writeLine(_ text: String) {
  let line = text + "\n"
  _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
}
