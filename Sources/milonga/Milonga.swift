// milonga: runs Lua 5.4 programs with Milonga's modules built in.
import Glibc

@main
enum Milonga {
  static func main() {
    let arguments = ProgramArguments()
    do throws(CommandLineOptions.Mistake) {
      switch try CommandLineRequest(arguments) {
      case .help:
        StandardStream.output.write(Usage.help(programName: arguments.programName))
      case .version:
        StandardStream.output.write(Usage.version)
      case .run(let options):
        exit(ScriptRunner(arguments: arguments, options: options).run())
      }
    } catch {
      StandardStream.error.write(
        Usage.message(error, programName: arguments.programName))
      exit(EXIT_FAILURE)
    }
  }
}
