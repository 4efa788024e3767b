import MilongaScheduler
import Testing

@testable import LuaRPC

/// Who reads, who writes and who rests, without a connection.
@Suite("roles of workers")
struct WorkerRolesTests {
  private let workers = (1...8).map { TaskID(bits: $0) }
  private var roles = WorkerRoles()

  @Test mutating func `the first reads, the next ones rest, and enough of them leave`() {
    #expect(roles.duty(of: workers[0]) == .read)
    for worker in workers[1...WorkerRoles.mostIdle] { #expect(roles.duty(of: worker) == .rest) }
    #expect(roles.duty(of: workers[6]) == .leave)
    roles.main = workers[7]
    #expect(roles.duty(of: workers[7]) == .rest)
    #expect(roles.takeIdle() == workers[7])
  }

  @Test mutating func `a function that does not wait leaves its worker the reader`() {
    #expect(roles.duty(of: workers[0]) == .read)
    roles.beginCall()
    #expect(roles.endCall(of: workers[0]) == true)
    #expect(roles.reader == workers[0] && roles.reading == .receiving)
  }

  @Test mutating func `while a function waits another worker reads`() {
    #expect(roles.duty(of: workers[0]) == .read)
    roles.beginCall()
    #expect(roles.giveUpReading() == workers[0])
    #expect(roles.giveUpReading() == nil)
    #expect(roles.duty(of: workers[1]) == .read)
    #expect(roles.endCall(of: workers[0]) == false)
    #expect(roles.duty(of: workers[0]) == .rest)
  }

  @Test mutating func `the reader's turn ends without a function, and it stays the reader`() {
    #expect(roles.duty(of: workers[0]) == .read)
    #expect(roles.giveUpReading() == nil)
    #expect(roles.reader == workers[0])
  }

  @Test mutating func `one worker writes, at most`() {
    #expect(roles.duty(of: workers[0]) == .read)
    #expect(roles.wantWriter() == true)
    #expect(roles.wantWriter() == false)
    #expect(roles.shouldWrite(workers[1]))
    #expect(roles.duty(of: workers[1]) == .write)
    #expect(roles.wantWriter() == false)
    #expect(roles.duty(of: workers[0]) == .read)
    roles.endWriting()
    #expect(roles.duty(of: workers[1]) == .rest)
    #expect(roles.wantWriter() == true)
  }

  @Test mutating func `a reader that sleeps is known, and reads on when it runs`() {
    #expect(roles.duty(of: workers[0]) == .read)
    #expect(roles.sleepingReader == nil)
    for reason in [WorkerRoles.Reading.paused, .withoutRoom] {
      roles.sleepReading(reason)
      #expect(roles.sleepingReader == workers[0])
      roles.awake(workers[1])
      #expect(roles.sleepingReader == workers[0])
      roles.awake(workers[0])
      #expect(roles.sleepingReader == nil)
    }
  }

  @Test mutating func `without its reader, writer or main worker a connection ends`() {
    #expect(roles.duty(of: workers[0]) == .read)
    #expect(roles.duty(of: workers[1]) == .rest)
    #expect(roles.removed(workers[1]) == false)
    #expect(roles.takeIdle() == nil)
    #expect(roles.removed(workers[0]) == true)
    roles.beginCall()
    #expect(roles.removed(workers[0]) == false)
    #expect(roles.wantWriter() == true)
    #expect(roles.duty(of: workers[2]) == .write)
    #expect(roles.removed(workers[2]) == true)
    roles.main = workers[3]
    #expect(roles.removed(workers[3]) == true)
  }
}
