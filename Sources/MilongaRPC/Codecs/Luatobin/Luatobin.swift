/// luatobin: the serialization of Lua RPC, in which every value says its type with a byte.
///
/// ```
/// 00                           nil
/// 01 byte                      boolean: any byte but 0 is true
/// 03 8 bytes                   double
/// 04 size, bytes               string
/// 05 count, count (key value)  table
/// 06 size, bytes               function: what Lua's `load` takes, here source text
/// 07 4 bytes                   integer, two's complement
/// 14 number                    a string, table or function of the same value, again
/// ```
///
/// Everything is big endian; sizes, counts and numbers have 2 bytes. Strings, tables and functions
/// are numbered from 1 in the order in which they begin, and the numbers start again with every
/// value of a message.
///
/// Source: luatobin of Eclipse Mihini, as its bytes show it. It writes every number that is
/// integral as an integer, and loses all but the low 32 bits; here those that need more are
/// doubles, and floats stay floats.
public enum Luatobin {
  /// The most bytes of a string or a function, and the most pairs of a table.
  public static let largestSize = 65_534

  /// Numbers of objects have 2 bytes.
  @usableFromInline static var largestNumber: Int { 65_535 }

  @usableFromInline
  enum Tag {
    @usableFromInline static var null: UInt8 { 0 }
    @usableFromInline static var boolean: UInt8 { 1 }
    @usableFromInline static var number: UInt8 { 3 }
    @usableFromInline static var string: UInt8 { 4 }
    @usableFromInline static var table: UInt8 { 5 }
    @usableFromInline static var function: UInt8 { 6 }
    @usableFromInline static var integer: UInt8 { 7 }
    @usableFromInline static var reference: UInt8 { 0x14 }
  }
}
