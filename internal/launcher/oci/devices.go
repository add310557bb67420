package oci

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Device is a device of the machine that containers may use.
type Device struct {
	Path         string
	Type         string // "c" or "b"
	Major, Minor int64
	Access       string // of "rwm"
	Mode         fs.FileMode
}

// DevicesOf looks up the devices of --allowed_devices on this machine.
func DevicesOf(list *mesos.DeviceWhitelist) ([]Device, error) {
	var devices []Device
	for _, d := range list.GetAllowedDevices() {
		device, err := lookUp(d)
		if err != nil {
			return nil, err
		}
		devices = append(devices, device)
	}
	return devices, nil
}

func lookUp(d *mesos.DeviceAccess) (Device, error) {
	out := Device{Path: d.GetDevice().GetPath()}
	var st unix.Stat_t
	if err := unix.Stat(out.Path, &st); err != nil {
		return out, fmt.Errorf("allowed device %q: %w", out.Path, err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		out.Type = "c"
	case unix.S_IFBLK:
		out.Type = "b"
	default:
		return out, fmt.Errorf("allowed device %q is not a device", out.Path)
	}
	out.Major, out.Minor, out.Mode = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)), os.FileMode(st.Mode&0o777)
	access := d.GetAccess()
	for letter, allowed := range map[string]bool{"r": access.GetRead(), "w": access.GetWrite(), "m": access.GetMknod()} {
		if allowed {
			out.Access += letter
		}
	}
	if out.Access == "" {
		return out, fmt.Errorf("allowed device %q has no access: say read, write or mknod", out.Path)
	}
	return out, nil
}

// usual are the devices that every container may use: those that do not lead to
// the machine. Any may be made, which without the right to open it is harmless.
var usual = []struct {
	kind         string
	major, minor int64
	access       string
}{
	{"c", -1, -1, "m"},
	{"b", -1, -1, "m"},
	{"c", 5, 1, "rwm"},
	{"c", 4, 0, "rwm"},
	{"c", 4, 1, "rwm"}, // console, tty0, tty1
	{"c", 136, -1, "rwm"},
	{"c", 5, 2, "rwm"},
	{"c", 5, 0, "rwm"},    // pts, ptmx, tty
	{"c", 10, 200, "rwm"}, // tun
	{"c", 1, 3, "rwm"},
	{"c", 1, 5, "rwm"}, // null, zero
	{"c", 1, 7, "rwm"}, // full
	{"c", 1, 8, "rwm"},
	{"c", 1, 9, "rwm"}, // random, urandom
}

// devices takes all devices away but the usual ones and those that are allowed.
func devices(c *container, s *specs.Spec) error {
	rules := []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}
	number := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	for _, d := range usual {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.kind, Major: number(d.major), Minor: number(d.minor), Access: d.access})
	}
	for _, d := range c.options.Devices {
		rules = append(rules, specs.LinuxDeviceCgroup{Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: d.Access})
	}
	s.Linux.Resources.Devices = rules
	return nil
}

// linuxDevices puts the allowed devices into a container's /dev.
func linuxDevices(c *container, s *specs.Spec) error {
	for _, d := range c.options.Devices {
		s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{
			Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &d.Mode,
		})
	}
	return nil
}
