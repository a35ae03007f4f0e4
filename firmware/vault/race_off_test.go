//go:build !race

package vault_test

const ways = 20
