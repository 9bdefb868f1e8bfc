package emulator

// inventoryKind is a kind of thing that a caller can make and must be able to
// remove again.
type inventoryKind struct {
	name string
	list func() map[string][]string // by world, in order
}

// inventory makes a table part of Inventory. line describes a row by what its
// user sees of it, its ID first; ok is false for a row that no longer counts,
// such as a terminated instance.
func inventory[T any](c *Cloud, kind string, t *table[T], line func(T) (text string, ok bool)) {
	c.kinds = append(c.kinds, inventoryKind{name: kind, list: func() map[string][]string {
		lists := map[string][]string{}
		for w, rows := range t.rows {
			for _, id := range sortedKeys(rows) {
				if text, ok := line(rows[id]); ok {
					lists[w] = append(lists[w], text)
				}
			}
		}
		return lists
	}})
}

// Inventory lists everything that exists, in all accounts and regions: by
// "<account>/<region> <kind>", each thing's ID and user-visible state. Two
// inventories are equal when nothing was left behind between them. Transitions
// that are due have happened in it.
func (c *Cloud) Inventory() (map[string][]string, error) {
	all := map[string][]string{}
	err := c.store.transact(func() error {
		c.settleAll()
		for _, k := range c.kinds {
			for w, lines := range k.list() {
				all[w+" "+k.name] = lines
			}
		}
		return nil
	})
	return all, err
}
