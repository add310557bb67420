module github.com/meseta-project/meseta

go 1.26
