package e2e

// roleEnv has the test binary act as another process of a test.
const roleEnv = "GOPR_E2E_ROLE"

var roles = map[string]func(args []string) error{}
