/// What this module is called.
public let nameCLua = "CLua"
