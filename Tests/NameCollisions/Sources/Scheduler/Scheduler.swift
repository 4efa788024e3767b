/// What this module is called.
public let nameScheduler = "Scheduler"
