@preconcurrency import Glibc

/// C's streams, which Lua's `print` and `io` write to as well: what both write stays in order.
enum StandardStream {
  case output, error

  func write(_ text: String) {
    var text = text
    text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
  }

  func write(_ bytes: UnsafeRawBufferPointer) {
    let file = self == .output ? stdout : stderr
    fwrite(bytes.baseAddress, 1, bytes.count, file)
    fflush(file)
  }
}
