// Package store holds what the stores of sessions and messages share.
package store
