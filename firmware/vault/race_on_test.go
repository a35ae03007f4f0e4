//go:build race

package vault_test

// The race detector makes a sweep eight times slower: fewer cuts a step.
const ways = 2
