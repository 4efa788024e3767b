public import NIOCore
import NIOPosix

/// A server that says something, whatever it hears.
public func startGreeter(_ text: String) async throws -> any Channel {
  try await startListener { context in
    context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
  }
}

/// A server that accepts connections, and says nothing.
public func startSilentListener() async throws -> any Channel { try await startListener { _ in } }

private func startListener(
  _ answer: @escaping @Sendable (ChannelHandlerContext) -> Void
) async throws -> any Channel {
  try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .childChannelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(Answerer(answer))
      }
    }
    .bind(host: "127.0.0.1", port: 0).get()
}

private final class Answerer: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private let answer: @Sendable (ChannelHandlerContext) -> Void
  init(_ answer: @escaping @Sendable (ChannelHandlerContext) -> Void) { self.answer = answer }
  func channelRead(context: ChannelHandlerContext, data: NIOAny) { answer(context) }
}
