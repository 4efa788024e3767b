import Testing

@testable import Copas

/// The one integer that the trampoline keeps while a socket's method waits.
@Suite struct TransferStepTests {
  private static let steps: [TransferStep] = [
    .arguments, .receiving(.line), .receiving(.all), .receiving(.count(1)),
    .receiving(.count(1001)), .receiving(.count(Int(Int32.max))), .foreign(.notYet),
    .foreign(.once), .foreign(.again), .foreign(.forTheLastTime), .tls,
  ]

  @Test(arguments: steps)
  func aStepComesBackAsItWas(_ step: TransferStep) {
    #expect(TransferStep(packed: step.packed) == step)
    #expect(Int32(exactly: step.packed) != nil)
  }

  @Test func eachStepHasItsOwnNumber() {
    #expect(Set(Self.steps.map(\.packed)).count == Self.steps.count)
  }

  @Test func whatDoesNotFitIsLookedUpInTheArguments() {
    let step = TransferStep.receiving(.count(Int(Int32.max) + 1))
    #expect(TransferStep(packed: step.packed) == .arguments)
    #expect(TransferStep(packed: TransferStep.receiving(.count(0)).packed) == .arguments)
  }

  @Test func aFunctionBeginsWithItsArguments() {
    #expect(TransferStep(packed: 0) == .arguments)
  }

  @Test func onlyAnotherObjectsMethodIsForeign() {
    for step in Self.steps {
      if case .foreign = step { #expect(step.isForeign) } else { #expect(!step.isForeign) }
    }
  }
}
