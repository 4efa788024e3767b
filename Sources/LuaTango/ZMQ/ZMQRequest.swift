/// A request over ZeroMQ.
struct ZMQRequest {
  /// What is in front of it, and goes back: its client's identity, what that wants back, an empty part.
  let envelope: [[UInt8]]
  /// Until it was read.
  var body: ZMQPart?
  /// Bytes of the body.
  let size: Int
  /// The part that the identity is in.
  let origin: ZMQPart

  var identity: [UInt8] { envelope[0] }

  /// Bytes that it takes while it is parked.
  var cost: Int { size + 512 }
}
