package sluice

// Version is that of this SDK, which is also the version of the server that it
// was released with.
const Version = "0.1.0"

const userAgent = "sluice-sdk-go/" + Version
