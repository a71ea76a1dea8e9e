// Package edit changes classified chains where they are, while packets pass.
//
// In: the two maps of a generation (Open) and rules of a plan. Out: rows, programs and notes in
// the room that was left for them; packets see all changes of a Batch or none. Refused, with
// ErrNoRoom: what the maps have no room for; a new generation has to be made then.
//
//	batch := chains.Edit()
//	row, id, err := batch.Insert(chain, before, rule)
//	batch.Publish() // or Abort
//	chains.Reclaim() // once no packet stands on dead rows
//
// A row lives from the version of its birth to that of its death. Publish is the one store of
// a version. A process that is killed before it has changed nothing: the next Edit takes back
// what it has begun.
package edit
