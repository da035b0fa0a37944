//go:build tools

package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
	_ "github.com/moby/buildkit/cmd/buildkitd"
	_ "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build"
)
