//go:build !race

package intake_test

const stride = 1
