package phone

// For the tests outside the package.
var (
	Voice = voice
	Match = match
)
