module github.com/meseta-project/meseta

go 1.26.0

require (
	github.com/planetscale/vtprotobuf v0.6.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
