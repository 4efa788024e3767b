/// What this module is called.
public let nameCShims = "CShims"
