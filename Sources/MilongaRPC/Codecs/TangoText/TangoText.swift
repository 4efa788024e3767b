/// tango's own serialization: a message is the text of a Lua table constructor.
///
/// The original (tango/utils/serialization.lua) evaluates what it receives, by
/// `loadstring('return '..text)()`. We write text for which that works on Lua 5.1 and later, and
/// read literals only; nothing that arrives is ever run.
///
/// ```
/// message = ["return"] table
/// table   = "{" [entry {("," | ";") entry} ["," | ";"]] "}"
/// entry   = name "=" value | "[" value "]" "=" value | value
/// value   = "nil" | "true" | "false" | string | table | number
/// number  = ["-"] (unsigned | "(" ["-"] unsigned ")")
/// unsigned = decimal | hexadecimal | "0/0" | "1/0" | "inf" | "nan"
/// string  = '"' {character} '"' | "'" {character} "'"     with the escapes of Lua 5.1
/// ```
///
/// `inf` and `nan` are no literals of Lua, but what the original writes for these numbers. It also
/// writes reserved words as names, so any word before an equals sign is a name here.
public enum TangoText {}
