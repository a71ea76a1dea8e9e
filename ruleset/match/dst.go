package match

// dstKind is -m dst.
var dstKind = optionsKind("dst", extDestination, "the IPv6 destination options header")
