package docker

// At has f called before each message is done, and before it is answered.
func (d *Driver) At(f func(message string, did bool)) { d.at = f }
