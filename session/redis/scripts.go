package redis

import (
	"embed"

	goredis "github.com/redis/go-redis/v9"
)

//go:embed scripts
var sources embed.FS

// Each script is one step that happens wholly or not at all. Done twice, as after an answer that was lost, it does no more than done once.
var (
	beginScript   = script("begin")
	resumeScript  = script("resume")
	confirmScript = script("confirm")
	touchScript   = script("touch")
	endScript     = script("end")
	adoptScript   = script("adopt")
)

func script(name string) *goredis.Script {
	common, err := sources.ReadFile("scripts/common.lua")
	if err != nil {
		panic(err)
	}
	own, err := sources.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return goredis.NewScript(string(common) + string(own))
}
