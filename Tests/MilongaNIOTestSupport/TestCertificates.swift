public import MilongaTestSupport
public import NIOSSL

/// A key and a certificate for `localhost`, signed by itself, which both ends show and trust.
public struct TestCertificates: Sendable {
  public let certificate: NIOSSLCertificate
  private let key: NIOSSLPrivateKey

  public init(in place: Workplace) throws {
    let outcome = try place.run(
      .shell,
      [
        "-c",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
          + "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem",
      ])
    guard outcome.status == 0 else { throw Missing(description: "no certificate: \(outcome)") }
    certificate = try NIOSSLCertificate.fromPEMFile(place.path + "/cert.pem")[0]
    key = try NIOSSLPrivateKey(file: place.path + "/key.pem", format: .pem)
  }

  /// Asks clients for their certificate.
  public var server: TLSConfiguration {
    var tls = TLSConfiguration.makeServerConfiguration(
      certificateChain: [.certificate(certificate)], privateKey: .privateKey(key))
    tls.certificateVerification = .noHostnameVerification
    tls.trustRoots = .certificates([certificate])
    return tls
  }

  public var client: TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .certificates([certificate])
    tls.certificateChain = [.certificate(certificate)]
    tls.privateKey = .privateKey(key)
    return tls
  }
}
