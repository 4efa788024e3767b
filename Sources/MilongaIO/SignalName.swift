import Glibc

/// The names of the signals that programs send to each other.
package enum SignalName {
  private static let numbers: KeyValuePairs<String, Int32> = [
    "ABRT": SIGABRT, "ALRM": SIGALRM, "CHLD": SIGCHLD, "CONT": SIGCONT, "HUP": SIGHUP,
    "INT": SIGINT, "KILL": SIGKILL, "PIPE": SIGPIPE, "QUIT": SIGQUIT, "STOP": SIGSTOP,
    "TERM": SIGTERM, "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "USR1": SIGUSR1,
    "USR2": SIGUSR2, "WINCH": SIGWINCH,
  ]

  /// The number of a signal by its name, `TERM` or `SIGTERM`; nil for other names.
  package static func number(of name: String) -> Int32? {
    let short = name.hasPrefix("SIG") ? String(name.dropFirst(3)) : name
    return numbers.first { $0.key == short }?.value
  }
}
