import Glibc
import MilongaIO
import MilongaTestSupport
import Testing

@Suite struct ReceiveBufferTests {
  static let block = BufferPool.blockSize

  // MARK: Content

  @Test func `what was filled in is unread until it is consumed`() {
    withBuffer { buffer, pool in
      #expect(buffer.isEmpty && buffer.count == 0 && buffer.bytes.isEmpty)
      buffer.fill([1, 2, 3], pool: pool)
      buffer.fill([4], pool: pool)
      #expect(Array(buffer.bytes) == [1, 2, 3, 4])
      #expect(buffer.count == 4 && !buffer.isEmpty)
      buffer.consume(0)
      #expect(buffer.count == 4)
      buffer.consume(3)
      #expect(Array(buffer.bytes) == [4])
      buffer.consume(1)
      #expect(buffer.isEmpty)
    }
  }

  @Test func `unread bytes can be changed in place`() {
    withBuffer { buffer, pool in
      buffer.fill([1, 2, 3], pool: pool)
      buffer.consume(1)
      buffer.mutableBytes[1] = 9
      #expect(Array(buffer.bytes) == [2, 9])
    }
  }

  @Test func `consumed room is used again without more memory`() {
    withBuffer { buffer, pool in
      let first = buffer.room(wanted: 1, pool: pool)!
      #expect(first.count == Self.block)
      buffer.fill([UInt8](repeating: 1, count: Self.block), pool: pool)
      buffer.consume(Self.block - 2)
      let again = buffer.room(wanted: 100, pool: pool)!
      #expect(again.count == Self.block - 2)
      #expect(again.baseAddress == first.baseAddress! + 2)
      #expect(Array(buffer.bytes) == [1, 1])
    }
  }

  @Test func `there is always room, even for nothing wanted`() {
    withBuffer { buffer, pool in
      for wanted in [0, 1, -1, Self.block] {
        #expect((buffer.room(wanted: wanted, pool: pool)?.count ?? 0) > 0)
      }
      buffer.fill([UInt8](repeating: 1, count: Self.block), pool: pool)
      for wanted in [0, 1, Self.block] {
        #expect((buffer.room(wanted: wanted, pool: pool)?.count ?? 0) > 0)
      }
      #expect(buffer.count == Self.block)
    }
  }

  // MARK: Memory

  @Test func `an empty buffer holds no memory`() {
    let pool = BufferPool()
    var buffer = ReceiveBuffer()
    buffer.releaseIfEmpty(to: pool)
    buffer.release(to: pool)
    #expect(pool.blocksInUse == 0)
    buffer.fill([1], pool: pool)
    #expect(pool.blocksInUse == 1)
    buffer.releaseIfEmpty(to: pool)
    #expect(pool.blocksInUse == 1, "it is not empty")
    buffer.consume(1)
    buffer.releaseIfEmpty(to: pool)
    #expect(pool.blocksInUse == 0)
    buffer.fill([1], pool: pool)
    buffer.release(to: pool)
    #expect(pool.blocksInUse == 0 && buffer.isEmpty)
  }

  @Test(arguments: [Int.max, Int.max - 1, 1 << 40, 100_000_000])
  func `a huge number takes no memory until so much arrives`(_ wanted: Int) {
    withBuffer { buffer, pool in
      var sizes: Set<Int> = []
      for _ in 0..<100 {
        let room = buffer.room(wanted: wanted, pool: pool)!
        #expect(room.count + buffer.count <= max(Self.block, 8 * buffer.count))
        sizes.insert(room.count + buffer.count)
        buffer.fill([UInt8](repeating: 3, count: 1000), wanted: wanted, pool: pool)
      }
      #expect(sizes.count < 6, "it grows in few steps")
      #expect(buffer.bytes.elementsEqual(repeatElement(3, count: 100_000)))
    }
  }

  @Test func `memory grows to what is wanted, not beyond`() {
    withBuffer { buffer, pool in
      let wanted = 40_000
      buffer.fill([UInt8](repeating: 1, count: Self.block), pool: pool)
      #expect(buffer.room(wanted: wanted, pool: pool)?.count == wanted - Self.block)
    }
  }

  @Test func `a block goes back to the pool when its bytes need more`() {
    let pool = BufferPool()
    var buffer = ReceiveBuffer()
    buffer.fill([UInt8](repeating: 1, count: Self.block), pool: pool)
    #expect(pool.blocksInUse == 1)
    _ = buffer.room(wanted: .max, pool: pool)
    #expect(pool.blocksInUse == 0)
    buffer.release(to: pool)
    #expect(pool.blocksInUse == 0)
  }

  @Test func `memory of a long message is not kept for the few bytes behind it`() {
    withBuffer { buffer, pool in
      let long = 1_000_000
      while buffer.count < long {
        buffer.fill([UInt8](repeating: 1, count: 10_000), wanted: long, pool: pool)
      }
      buffer.fill([7, 8], pool: pool)
      buffer.consume(buffer.count - 2)
      #expect(buffer.room(wanted: .max, pool: pool)?.count == Self.block - 2)
      #expect(pool.blocksInUse == 1)
      #expect(Array(buffer.bytes) == [7, 8])
    }
  }

  // MARK: Against a model

  @Test func `it equals an array, whatever is done to it`() {
    var generator = SeededGenerator(for: "receive buffer")
    let pool = BufferPool()
    var buffer = ReceiveBuffer()
    var model: [UInt8] = []
    for step in 0..<10_000 {
      switch generator.below(10) {
      case 0..<5:
        let wanted = [0, 1, model.count + 1, model.count + 50_000, 1 << 50, .max]
        let room = buffer.room(wanted: wanted[generator.below(wanted.count)], pool: pool)!
        #expect(room.count > 0)
        #expect(room.count + model.count <= max(Self.block, 8 * model.count))
        let most = min(room.count, generator.below(6) == 0 ? .max : 5000)
        let count = generator.below(most + 1)
        for place in 0..<count { room[place] = UInt8(truncatingIfNeeded: step &+ place) }
        buffer.filled(count)
        model += room[..<count]
      case 5..<9:
        let most = generator.below(4) == 0 ? model.count : min(model.count, 8000)
        let count = model.count > 300_000 ? model.count : generator.below(most + 1)
        buffer.consume(count)
        model.removeFirst(count)
      default:
        if generator.below(20) == 0 {
          buffer.release(to: pool)
          model = []
        } else {
          buffer.releaseIfEmpty(to: pool)
        }
        if model.isEmpty { #expect(pool.blocksInUse == 0) }
      }
      #expect(buffer.count == model.count)
      #expect(buffer.isEmpty == model.isEmpty)
      #expect((0...1).contains(pool.blocksInUse))
      if step % 16 == 0 { #expect(buffer.bytes.elementsEqual(model)) }
    }
    buffer.release(to: pool)
    #expect(pool.blocksInUse == 0)
  }

  /// An empty buffer, whose memory is freed in the end.
  private func withBuffer(_ body: (inout ReceiveBuffer, BufferPool) -> Void) {
    let pool = BufferPool()
    var buffer = ReceiveBuffer()
    body(&buffer, pool)
    buffer.release(to: pool)
    #expect(pool.blocksInUse == 0)
  }
}

@Suite struct BufferPoolTests {
  @Test func `blocks are counted and used again`() {
    let pool = BufferPool()
    var first = ReceiveBuffer()
    var second = ReceiveBuffer()
    let one = first.room(wanted: 1, pool: pool)?.baseAddress
    let two = second.room(wanted: 1, pool: pool)?.baseAddress
    #expect(pool.blocksInUse == 2)
    #expect(one != two)
    first.release(to: pool)
    #expect(pool.blocksInUse == 1)
    // The block last used: it is in the cache.
    #expect(first.room(wanted: 1, pool: pool)?.baseAddress == one)
    first.release(to: pool)
    second.release(to: pool)
    #expect(pool.blocksInUse == 0)
  }

  @Test func `thousands of busy connections give their blocks back`() {
    let pool = BufferPool()
    var buffers = [ReceiveBuffer](repeating: ReceiveBuffer(), count: 2000)
    for _ in 0..<2 {
      for index in buffers.indices { buffers[index].fill([1], pool: pool) }
      #expect(pool.blocksInUse == buffers.count)
      for index in buffers.indices { buffers[index].release(to: pool) }
      #expect(pool.blocksInUse == 0)
    }
  }
}

@Suite struct ByteSearchTests {
  @Test func `the first place from a start on is found`() {
    let bytes: [UInt8] = [1, 2, 1, 0, 255]
    bytes.withUnsafeBytes { bytes in
      #expect(bytes.firstIndex(ofByte: 1) == 0)
      #expect(bytes.firstIndex(ofByte: 1, from: 1) == 2)
      #expect(bytes.firstIndex(ofByte: 1, from: 3) == nil)
      #expect(bytes.firstIndex(ofByte: 0) == 3)
      #expect(bytes.firstIndex(ofByte: 255, from: 4) == 4)
      #expect(bytes.firstIndex(ofByte: 255, from: 5) == nil)
      #expect(bytes.firstIndex(ofByte: 255, from: 6) == nil)
      #expect(bytes.firstIndex(ofByte: 7) == nil)
    }
  }

  @Test func `in no bytes nothing is found`() {
    #expect(UnsafeRawBufferPointer(start: nil, count: 0).firstIndex(ofByte: 0) == nil)
  }
}

extension ReceiveBuffer {
  /// Fills bytes in, in as many pieces as it takes.
  fileprivate mutating func fill(_ bytes: [UInt8], wanted: Int = 0, pool: BufferPool) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let room = room(wanted: wanted, pool: pool)!
      let piece = rest.prefix(room.count)
      room.copyBytes(from: piece)
      filled(piece.count)
      rest = rest.dropFirst(piece.count)
    }
  }
}
